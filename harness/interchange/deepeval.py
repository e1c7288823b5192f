"""DeepEval's goldens: one JSON array of `input`, `expected_output`, `context` and so on.

Field meanings: https://deepeval.com/docs/evaluation-datasets
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.cases import Case
from harness.errors import GoldenSetError
from harness.files.read_json import loads
from harness.interchange.format import Format, Row, as_id, only_text, target_texts

__all__ = ["DEEPEVAL"]

_UNREAD = ("expected_outcome", "expected_tools", "scenario", "turns", "user_description")
"""What a conversation, or an agent's use of tools, is judged by."""
_MAX_BYTES = 64 * 2**20


def _read(path: Path) -> Iterator[Row]:
    if path.stat().st_size > _MAX_BYTES:
        raise GoldenSetError(f"is larger than {_MAX_BYTES // 2**20} MiB: split it", path=path)
    try:
        goldens = loads(path.read_text("utf-8-sig"))
    except ValueError as problem:
        raise GoldenSetError(f"not JSON: {problem}", path=path) from None
    if not isinstance(goldens, list):
        raise GoldenSetError("expected one JSON array of goldens", path=path)
    for number, golden in enumerate(goldens, start=1):
        asked = golden.get("input") if isinstance(golden, dict) else None
        if not isinstance(asked, str) or not asked:
            raise GoldenSetError(f"golden {number} has no text input", path=path)
        if unread := [key for key in _UNREAD if golden.get(key)]:
            raise GoldenSetError(f"golden {number}: `{unread[0]}` is not read", path=path)
        context = golden.get("context") or golden.get("retrieval_context") or []
        if not isinstance(context, list) or not all(isinstance(one, str) for one in context):
            raise GoldenSetError(f"golden {number}: its context must be a list of texts", path=path)
        row: Row = {"id": as_id(golden.get("name"), f"{path.stem}-{number:04d}"), "input": asked}
        if context:
            row["input"] = "\n\n".join([*context, asked])
        if golden.get("expected_output"):
            if not isinstance(golden["expected_output"], str):
                raise GoldenSetError(f"golden {number}: its expected_output must be a text", path=path)
            row["target"] = golden["expected_output"]
        about = {key: golden[key] for key in ("comments", "additional_metadata") if golden.get(key)}
        if about:
            row["metadata"] = about
        yield row


def _write(cases: Sequence[Case]) -> str:
    goldens = []
    for case in cases:
        only_text(case, "DeepEval", checks=True)
        targets = target_texts(case)
        golden: Row = {"name": case.id, "input": _as_text(case)}
        if targets:
            golden["expected_output"] = targets[0]
        golden["additional_metadata"] = {"tags": list(case.tags), "checks": [dict(c) for c in case.checks]}
        goldens.append(golden)
    return json.dumps(goldens, ensure_ascii=False, indent=2) + "\n"


def _as_text(case: Case) -> str:
    if len(case.messages) != 1:
        raise GoldenSetError(f"case {case.id} is a conversation, which DeepEval's goldens cannot carry here")
    return case.messages[0].content


DEEPEVAL = Format("deepeval", "DeepEval goldens, a JSON array", (".json",), _read, _write)
