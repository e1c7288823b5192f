"""What is kept of a night: one line of JSON, and what moved since the line before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import IntegrityError, StoreError
from harness.files.write_json import encodable
from harness.gate.verdict import Verdict
from harness.runs.record import RunRecord

__all__ = ["Move", "Night", "append_night", "last_told_night", "moves", "night_of"]


@dataclass(frozen=True)
class Night:
    """One line of the history.

    Attributes:
        run: Id of the stored run.
        created: When it started, ISO 8601 in UTC.
        exit_code: Of the night.
        verdicts: One entry per suite × checkpoint: suite, name (as the plan follows it), checkpoint, status,
            n, mean, delta.
        requests: How many answers were wanted, reused, generated and failed.
        told: Whether all who wanted to hear of a move have been told; until they are, moves add up.
    """

    run: str
    created: str
    exit_code: int
    verdicts: tuple[Mapping[str, Any], ...]
    requests: Mapping[str, int]
    told: bool = True

    @property
    def statuses(self) -> dict[tuple[str, str], str]:
        """(suite, name) → status."""
        return {(str(one["suite"]), str(one["name"])): str(one["status"]) for one in self.verdicts}


@dataclass(frozen=True)
class Move:
    """A verdict that is another than the night before; a side is None where there was or is none."""

    suite: str
    name: str
    before: str | None
    now: str | None


def night_of(record: RunRecord, names: Mapping[str, str]) -> Night:
    """Return what is kept of a night.

    Args:
        record: Its run.
        names: Spec → the name under which a checkpoint is followed.
    """
    return Night(
        run=record.run,
        created=record.created,
        exit_code=record.exit_code,
        verdicts=tuple(_entry(verdict, names) for verdict in record.verdicts),
        requests=dict(getattr(record.environment, "requests", {})),
    )


def _entry(verdict: Verdict, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "suite": verdict.suite,
        "name": names.get(verdict.checkpoint, verdict.checkpoint),
        "checkpoint": verdict.checkpoint,
        "status": verdict.status.value,
        "n": verdict.n,
        "mean": verdict.mean,
        "delta": verdict.delta,
    }


def moves(before: Night | None, now: Night) -> list[Move]:
    """Return the verdicts that moved; on the first night, every one that is there."""
    old, new = {} if before is None else before.statuses, now.statuses
    return [
        Move(suite, name, old.get((suite, name)), new.get((suite, name)))
        for suite, name in [*new, *(key for key in old if key not in new)]
        if old.get((suite, name)) != new.get((suite, name))
    ]


def last_told_night(path: Path) -> Night | None:
    """Return the last night of a history that everybody was told of; None where there is none yet.

    Raises:
        IntegrityError: A line behind it is none of a night's.
        StoreError: It cannot be read.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise StoreError(f"{path}: cannot be read: {problem}") from None
    nights = (_night_in(line, f"{path}:{number}") for number, line in reversed([*enumerate(lines, start=1)]))
    return next((night for night in nights if night.told), None)


def _night_in(line: str, place: str) -> Night:
    try:
        fields = json.loads(line)
        fields.pop("schema_version")
        night = Night(**{**fields, "verdicts": tuple(fields["verdicts"])})
        assert night.statuses is not None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise IntegrityError(f"{place}: is no night of this version's: mend or remove the line") from None
    return night


def append_night(path: Path, night: Night) -> None:
    """Add a night's line.

    Raises:
        StoreError: It cannot be written.
    """
    line = json.dumps(encodable({"schema_version": 1, **asdict(night)}), ensure_ascii=True, allow_nan=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="ascii") as stream:
            stream.write(f"{line}\n")
    except OSError as problem:
        raise StoreError(f"{path}: cannot be written: {problem.strerror or problem}") from None
