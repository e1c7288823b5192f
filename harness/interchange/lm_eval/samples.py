"""lm-evaluation-harness's logged samples: JSON Lines of `doc_id`, `target`, `arguments`.

`--log_samples` writes them; a sample's arguments hold the very prompts that a task asked, few-shot block and
all, so that a task can be gated where the library itself is not installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case
from harness.errors import GoldenSetError
from harness.interchange.format import Format, Row, as_id, jsonl_rows, only_text, target_texts

__all__ = ["LM_EVAL"]

_TASK = "import the task itself, where lm-eval is installed"


def _read(path: Path) -> Iterator[Row]:
    for line, sample in jsonl_rows(path):
        arguments = _arguments(sample.get("arguments"), path, line)
        row: Row = {"id": as_id(sample.get("doc_id"), f"{path.stem}-{line:04d}"), "raw": True}
        row["id"] = f"doc-{row['id']}" if str(row["id"]).isdigit() else row["id"]
        target = sample.get("target")
        _refuse_other_scoring(sample, target, isinstance(arguments[0][1], str), path, line)
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
                    "target": _gold(sample, [text for _, text in arguments], path, line),
                }
        else:
            row |= {"input": arguments[0][0], "target": target}
            if (marked := _marked_number(target)) is not None:
                row |= {"target": marked, "checks": [{"type": "number", "value": float(marked)}]}
        yield row


def _refuse_other_scoring(
    sample: Mapping[str, Any], target: Any, is_choice: bool, path: Path, line: int
) -> None:
    """Refuse a sample that its task scores otherwise than by its likeliest choice, or by its very target.

    Raises:
        GoldenSetError: It names the metric or the filter.
    """
    if is_choice:
        return
    metrics = sample.get("metrics") or []
    if other := [metric for metric in metrics if metric not in ("exact_match", "acc")]:
        raise GoldenSetError(
            f"is scored by {other[0]!r}, which a target cannot say: {_TASK}", path=path, line=line
        )
    if _marked_number(target) is not None:
        return
    named = sample.get("filter")
    if named not in (None, "none"):
        raise GoldenSetError(
            f"is scored behind the filter {named!r}, which is not logged: {_TASK}", path=path, line=line
        )
    answers = sample.get("filtered_resps")
    answer = answers[0] if isinstance(answers, list) and answers else None
    is_right = sample.get("exact_match")
    if isinstance(answer, str) and is_right in (0, 1) and (answer.strip() == str(target).strip()) != is_right:
        raise GoldenSetError(
            f"has exact_match {is_right:g} for an answer that its target scores otherwise: {_TASK}",
            path=path,
            line=line,
        )


def _marked_number(target: Any) -> str | None:
    """Return the number behind `####` at the end of a rationale, as GSM8K writes its targets."""
    match = re.search(r"####\s*(-?[\d,]+(?:\.\d+)?)\s*\Z", target) if isinstance(target, str) else None
    return None if match is None else match[1].replace(",", "")


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


def _gold(sample: Mapping[str, Any], texts: Sequence[str], path: Path, line: int) -> int:
    """Return the index of the right choice.

    lm-eval logs a target as text, so that "2" is the third choice or the choice that says 2. Where both are
    there, the sample's own score tells them apart: the likeliest choice is right where `acc` is 1, and wrong
    where it is 0.

    Raises:
        GoldenSetError: The target is no choice, or nothing tells which.
    """
    target = sample.get("target")
    readings: set[int] = set()
    if isinstance(target, str):
        readings |= {index for index, text in enumerate(texts) if text.strip() == target.strip()}
    if str(target).isdecimal() and int(str(target)) < len(texts) and not isinstance(target, bool):
        readings.add(int(str(target)))
    if not readings:
        raise GoldenSetError(
            f"the target {target!r} is none of its {len(texts)} choices", path=path, line=line
        )
    likeliest, score = _likeliest(sample.get("filtered_resps"), len(texts)), sample.get("acc")
    if likeliest is not None and score in (0, 1):
        readings = {index for index in readings if (index == likeliest) == score}
    if len(readings) != 1:
        why = "is one choice by its number and another by its text" if readings else "contradicts its `acc`"
        raise GoldenSetError(f"the target {target!r} {why}: {_TASK}", path=path, line=line)
    return readings.pop()


def _likeliest(answers: Any, count: int) -> int | None:
    """Return the index of the likeliest choice; None where none is or the log does not say."""
    if not isinstance(answers, list) or len(answers) != count:
        return None
    try:
        values = [float(answer[0]) for answer in answers]
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    best = max(values)
    return values.index(best) if values.count(best) == 1 else None


def _sampling(path: Path) -> Mapping[str, Any]:
    """Return the generation options that all samples of a file share.

    Raises:
        GoldenSetError: Two samples differ in them.
    """
    shared: dict[str, Any] | None = None
    for line, sample in jsonl_rows(path):
        options = _arguments(sample.get("arguments"), path, line)[0][1]
        if not isinstance(options, Mapping):
            continue
        until = options.get("until") or []
        asked: dict[str, Any] = {"stop": [until] if isinstance(until, str) else list(until)}
        if isinstance(options.get("max_gen_toks"), int):
            asked["max_tokens"] = options["max_gen_toks"]
        if shared is not None and asked != shared:
            raise GoldenSetError(
                "asks for other generation options than the samples before it", path=path, line=line
            )
        shared = asked
    return {key: value for key, value in (shared or {}).items() if value}


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
    "lm-eval",
    "lm-eval samples (read), documents for a task (written)",
    (".jsonl",),
    _read,
    _write,
    sampling_of=_sampling,
)
