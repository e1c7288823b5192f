"""Start a golden set, and add cases: to its file while it is not locked, else to a draft of the next version.

What is added is a proposal until somebody has read it: a locked version is never touched, and the draft
beside it becomes the next version only by `harness golden release NAME --from DRAFT`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.case_result import CaseResult
from harness.cases import Case, Outcome, Response
from harness.durable import replace_synced
from harness.errors import GoldenSetError, HarnessError
from harness.golden_case import case_problems, case_row
from harness.golden_release import refuse_foreign
from harness.golden_set import (
    CASES_FILE,
    DEFAULT_ROOTS,
    MANIFEST_FILE,
    Manifest,
    check_name,
    find_golden,
    read_manifest,
)
from harness.scoring.evaluate import score

__all__ = ["DRAFT_FILE", "Addition", "add_rows", "new_golden", "rows_from_results"]

DRAFT_FILE = "draft.jsonl"
"""The next version of a locked set while it is written, beside the folders of its versions."""

_EXAMPLE = {
    "id": "example-001",
    "input": "What is 2 + 2? Answer with the number only.",
    "target": 4,
    "tags": ["lang:en", "easy"],
    "accepts": ["4"],
    "rejects": ["5"],
}


@dataclass(frozen=True)
class Addition:
    """What adding cases did.

    Attributes:
        path: The file that holds them now.
        added: Ids that were added.
        known: Ids that were there already, and were left alone.
        draft: Whether the file is a draft that must be released.
    """

    path: Path
    added: tuple[str, ...]
    known: tuple[str, ...]
    draft: bool


def new_golden(
    name: str,
    *,
    root: Path,
    description: str = "",
    licence: str | None = None,
    author: str | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> Path:
    """Make `<root>/<name>/v1` with a manifest and one example case to replace; return the folder.

    Args:
        name: The set.
        root: Where sets lie.
        description: What it measures.
        licence: SPDX expression of its texts' licence.
        author: Who writes it.
        sampling: What its cases want of max_tokens, temperature, top_p and stop.

    Raises:
        GoldenSetError: The name is no name for a set, or there is one already.
    """
    check_name(name)
    if (root / name).exists():
        raise GoldenSetError(
            f"is there already: add to it with `harness golden add {name}`", path=root / name
        )
    folder = root / name / "v1"
    folder.mkdir(parents=True)
    manifest = Manifest(
        name, 1, description=description, licence=licence, created_by=author, sampling=dict(sampling or {})
    )
    replace_synced(folder / MANIFEST_FILE, (json.dumps(manifest.as_dict(), indent=2) + "\n").encode())
    replace_synced(folder / CASES_FILE, _encoded([_EXAMPLE]))
    return folder


def add_rows(
    name: str, rows: Iterable[Mapping[str, Any]], *, roots: Sequence[str | Path] = DEFAULT_ROOTS
) -> Addition:
    """Append cases to the newest version of a set, or to its draft where that version is locked.

    Rows whose id is taken are left out, so that adding the same failures twice changes nothing.

    Args:
        name: The set, without a version.
        rows: Rows of `cases.jsonl`.
        roots: Folders to look in, as for `load_golden`.

    Raises:
        GoldenSetError: There is no such set, or a row is no case. Nothing is written then.
    """
    if "/" in name:
        raise GoldenSetError(f"{name!r}: cases are added to the newest version; leave the version out")
    folder = find_golden(name, roots=roots)
    refuse_foreign(folder, roots)
    locked = read_manifest(folder).locked
    path = folder.parent / DRAFT_FILE if locked else folder / CASES_FILE
    source = path if path.exists() else folder / CASES_FILE
    text = source.read_text("utf-8")
    taken = {json.loads(line)["id"] for line in text.splitlines() if line.strip()}
    added: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    for row in rows:
        if problems := case_problems(row):
            raise GoldenSetError(f"{row.get('id', 'a case without id')}: {'; '.join(problems)}")
        (known if row["id"] in taken else added).append(dict(row))
        taken.add(row["id"])
    if added:
        whole = text if text.endswith("\n") or not text else f"{text}\n"
        replace_synced(path, whole.encode() + _encoded(added))
    return Addition(path, _ids(added), _ids(known), locked)


def rows_from_results(
    results: Iterable[CaseResult], cases: Mapping[str, Case], *, run: str
) -> list[dict[str, Any]]:
    """Return the cases that these results are about, each with the answer that failed among its `rejects`.

    An answer that the case's checks would let pass (a suite may ask more than they do) stands in the metadata
    only: a reviewer must first write the check that rejects it.

    Args:
        results: Of one golden set; a case is taken once.
        cases: The golden set's cases by id.
        run: The run's id, for the metadata.

    Raises:
        GoldenSetError: A result is about a case that the set does not have (any more).
    """
    rows: dict[str, dict[str, Any]] = {}
    for result in results:
        case = cases.get(result.case_id)
        if case is None or case.content_hash != result.content_hash:
            state = "is not in" if case is None else "is another one in"
            raise GoldenSetError(f"case {result.case_id} of run {run} {state} {result.golden} now")
        answer = next((text for text in result.outputs if text.strip()), None)
        if answer is not None and _fails(case, answer) and answer not in case.rejects:
            case = dataclasses.replace(case, rejects=(*case.rejects, answer))
        found = {
            "run": run,
            "golden": result.golden,
            "checkpoint": result.checkpoint,
            "outcome": str(result.outcome),
            "output": answer,
            "explanation": result.explanation,
        }
        case = dataclasses.replace(case, metadata={**case.metadata, "from_run": found})
        rows.setdefault(case.id, case_row(case))
    return list(rows.values())


def _fails(case: Case, answer: str) -> bool:
    try:
        return score(case, Response(answer)).outcome is not Outcome.PASSED
    except HarnessError:
        return False


def _encoded(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def _ids(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(row["id"]) for row in rows)
