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
from harness.errors import GoldenSetError, HarnessError
from harness.files.durable import replace_synced
from harness.files.read_json import read_jsonl
from harness.golden_sets.case_row import case_problems, case_row, parse_case
from harness.golden_sets.read import (
    CASES_FILE,
    DEFAULT_ROOTS,
    MANIFEST_FILE,
    GoldenManifest,
    check_name,
    find_golden,
    read_golden_manifest,
)
from harness.golden_sets.release import DRAFT_FILE, refuse_foreign
from harness.scoring.evaluate import score

__all__ = ["Addition", "add_rows", "new_golden", "rows_from_results"]

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
        amended: Ids that were there already, and now reject the answer that failed.
        known: Ids that were there already, and were left alone.
        draft: Whether the file is a draft that must be released.
    """

    path: Path
    added: tuple[str, ...]
    known: tuple[str, ...]
    draft: bool
    amended: tuple[str, ...] = ()


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
    manifest = GoldenManifest(
        name, 1, description=description, licence=licence, created_by=author, sampling=dict(sampling or {})
    )
    replace_synced(folder / MANIFEST_FILE, (json.dumps(manifest.as_dict(), indent=2) + "\n").encode())
    replace_synced(folder / CASES_FILE, _encoded([_EXAMPLE]))
    return folder


def add_rows(
    name: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    roots: Sequence[str | Path] = DEFAULT_ROOTS,
    amend: bool = False,
) -> Addition:
    """Append cases to the newest version of a set, or to its draft where that version is locked.

    Rows whose id is taken are left out, so that adding the same failures twice changes nothing.

    Args:
        name: The set, without a version.
        rows: Rows of `cases.jsonl`.
        roots: Folders to look in, as for `load_golden`.
        amend: Give a case that is there already the row's further `rejects` and its `metadata.from_run`,
            where the row asks and checks the same.

    Raises:
        GoldenSetError: There is no such set, it is malformed, or a row is no case. Nothing is written then.
    """
    if "/" in name:
        raise GoldenSetError(f"{name!r}: cases are added to the newest version; leave the version out")
    folder = find_golden(name, roots=roots)
    refuse_foreign(folder, roots)
    locked = read_golden_manifest(folder).locked
    path = folder.parent / DRAFT_FILE if locked else folder / CASES_FILE
    source = path if path.exists() else folder / CASES_FILE
    present = {row["id"]: (line, row) for line, row in read_jsonl(source) if "id" in row}
    lines = source.read_bytes().split(b"\n")
    taken = set(present)
    added: list[dict[str, Any]] = []
    known: list[str] = []
    amended: list[str] = []
    for row in rows:
        if problems := case_problems(row):
            raise GoldenSetError(f"{row.get('id', 'a case without id')}: {'; '.join(problems)}")
        line, there = present.get(row["id"], (0, None))
        if there is not None and amend and (whole := _amended(there, row)) != there:
            lines[line - 1] = _encoded([whole]).rstrip(b"\n")
            amended.append(row["id"])
        elif row["id"] in taken:
            known.append(row["id"])
        else:
            added.append(dict(row))
        taken.add(row["id"])
    if added or amended:
        text = b"\n".join(lines)
        replace_synced(path, (text if text.endswith(b"\n") or not text else text + b"\n") + _encoded(added))
    return Addition(path, tuple(str(row["id"]) for row in added), tuple(known), locked, tuple(amended))


def _amended(there: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case with what another row of it learnt from a run; as it is where it is another case now."""
    whole = dict(there)
    if case_problems(there) or parse_case(there).content_hash != parse_case(row).content_hash:
        return whole
    if rejects := [answer for answer in row.get("rejects", ()) if answer not in there.get("rejects", ())]:
        whole["rejects"] = [*there.get("rejects", ()), *rejects]
    if "from_run" in (learnt := row.get("metadata", {})):
        whole["metadata"] = {**there.get("metadata", {}), "from_run": learnt["from_run"]}
    return whole


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
        answers = [text for text in result.outputs if text.strip()]
        failed = next((text for text in answers if _fails(case, text)), None)
        answer = failed or next(iter(answers), None)
        if failed is not None and failed not in case.rejects:
            case = dataclasses.replace(case, rejects=(*case.rejects, failed))
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
