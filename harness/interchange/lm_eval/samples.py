"""lm-evaluation-harness's logged samples: JSON Lines of `doc_id`, `target`, `arguments`.

`--log_samples` writes them; a sample's arguments hold the very prompts that a task asked, few-shot block and
all, so that a task can be gated where the library itself is not installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case
from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, jsonl_rows, only_text, target_texts

__all__ = ["LM_EVAL"]


def _read(path: Path) -> Iterator[Row]:
    for line, sample in jsonl_rows(path):
        arguments = _arguments(sample.get("arguments"), path, line)
        row: Row = {"id": as_id(sample.get("doc_id"), f"{path.stem}-{line:04d}"), "raw": True}
        row["id"] = f"doc-{row['id']}" if str(row["id"]).isdigit() else row["id"]
        target = sample.get("target")
        contexts = {context for context, _ in arguments}
        if isinstance(arguments[0][1], str):
            shared = len(contexts) == 1
            given = [text if shared else {"text": text, "prompt": context} for context, text in arguments]
            if shared and arguments[0][0]:
                row["input"] = arguments[0][0]
            if len(given) == 1:
                row["continuation"] = given[0]
            else:
                row |= {
                    "choices": given,
                    "target": _index(target, [text for _, text in arguments], path, line),
                }
        else:
            row |= {"input": arguments[0][0], "target": target}
        yield row


def _arguments(value: Any, path: Path, line: int) -> list[tuple[str, Any]]:
    """Return (context, continuation or generation options) of each request; both spellings are read."""
    entries = list(value.values()) if isinstance(value, Mapping) else value
    found = []
    for entry in entries if isinstance(entries, list) else []:
        parts = [entry.get(f"arg_{n}") for n in range(len(entry))] if isinstance(entry, Mapping) else entry
        if isinstance(parts, list) and len(parts) >= 2 and isinstance(parts[0], str):
            found.append((parts[0], parts[1]))
    if not found:
        raise GoldenSetError("has no arguments of (context, continuation)", path=path, line=line)
    return found


def _index(target: Any, texts: Sequence[str], path: Path, line: int) -> int:
    stripped = [text.strip() for text in texts]
    if isinstance(target, str) and target.strip() in stripped:
        return stripped.index(target.strip())
    if isinstance(target, (int, str)) and str(target).isdigit() and int(target) < len(texts):
        return int(target)
    raise GoldenSetError(f"the target {target!r} is none of its {len(texts)} choices", path=path, line=line)


def _write(cases: Sequence[Case]) -> str:
    """Write documents for a local task: `question`, `target`; `choices` and `gold` where there are some."""
    lines = []
    for case in cases:
        only_text(case, "lm-eval", choices=True)
        doc: Row = {"id": case.id, "question": case.input}
        if case.continuations:
            doc |= {"choices": [text.text for text in case.continuations], "gold": case.target}
        elif targets := target_texts(case):
            doc["target"] = targets[0]
        lines.append(json.dumps(doc, ensure_ascii=False))
    return "\n".join(lines) + "\n"


LM_EVAL = Format(
    "lm-eval", "lm-eval samples (read), documents for a task (written)", (".jsonl",), _read, _write
)
