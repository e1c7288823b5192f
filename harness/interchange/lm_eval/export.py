"""A golden set as a task of lm-evaluation-harness: its YAML, and the documents beside it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cases import Case, Sampling
from harness.errors import GoldenSetError
from harness.interchange.format import Row, only_text, target_texts
from harness.interchange.lm_eval.metric import STRIPPED, match_flags

__all__ = ["write_task"]

_MEAN = {"aggregation": "mean", "higher_is_better": True}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
"""A column of nothing but such texts is read as times by lm-eval's dataset library."""
_NORMS = {"none": "acc", "characters": "acc_norm", "bytes": "acc_bytes"}


def write_task(cases: Sequence[Case], path: Path, sampling: Sampling) -> Mapping[Path, str]:
    """Return the texts of a task's YAML and of its documents, by file.

    lm-eval looks for the documents from its working directory: as the path is given, so it is written.

    Args:
        cases: All of one kind (answers, choices, or likelihoods), and asked in one way.
        path: Of the YAML; the documents get its name and `.jsonl`.
        sampling: How answers are drawn.

    Raises:
        GoldenSetError: A case, or two of them together, make no task of lm-eval.
    """
    data = path.with_suffix(".jsonl")
    for case in cases:
        _refuse(case)
    kind = _of_all(cases, _kind, "asks for something else")
    raw = _of_all(cases, lambda case: case.raw, "is asked otherwise (`raw`)")
    ask, questions = _column("question", [case.input for case in cases])
    task: Row = {
        "task": re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem),
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": data.as_posix()}},
        "test_split": "test",
        "num_fewshot": 0,
        "output_type": kind,
        "doc_to_text": ask,
    }
    if kind == "generate_until":
        tell, targets = _column("target", _alike([_targets(case) for case in cases]))
        task |= {"doc_to_target": tell} | _scored(cases, sampling)
        documents = [{"target": target} for target in targets]
    elif kind == "multiple_choice":
        fields, documents = _choices(cases, raw)
        task |= {"doc_to_target": "gold", "doc_to_choice": "choices"} | fields
    else:
        tell, texts = _column("text", [case.continuations[0].text for case in cases])
        task |= {"doc_to_target": tell, "metric_list": [{"metric": "acc"} | _MEAN]}
        documents = [{"text": text} for text in texts]
    task["metadata"] = {"version": 1.0} | ({} if raw else {"chat_template": True})
    rows = [
        {"id": case.id, "question": question} | document
        for case, question, document in zip(cases, questions, documents, strict=True)
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return {path: _yaml(task), data: lines}


def _kind(case: Case) -> str:
    if not case.continuations:
        return "generate_until"
    return "loglikelihood" if len(case.continuations) == 1 else "multiple_choice"


def _refuse(case: Case) -> None:
    greedy = len(case.continuations) == 1 and [dict(check) for check in case.checks] == [
        {"type": "exact_greedy"}
    ]
    only_text(case, "lm-eval task", choices=True, checks=greedy)
    if [message.role for message in case.messages] not in ([], ["user"]):
        raise GoldenSetError(f"case {case.id} is a conversation, which lm-eval tasks cannot carry here")
    if len(case.continuations) == 1 and not greedy:
        raise GoldenSetError(
            f"case {case.id}: lm-eval has no perplexity per token of a text after a prompt; "
            "what it has is the check exact_greedy"
        )


def _of_all(cases: Sequence[Case], said: Any, differs: str) -> Any:
    """Return what all cases say; a task has one of it."""
    found = said(cases[0])
    for case in cases:
        if said(case) != found:
            raise GoldenSetError(
                f"case {case.id} {differs} than case {cases[0].id}, and an lm-eval task has one way for all: "
                "export them as two sets"
            )
    return found


def _scored(cases: Sequence[Case], sampling: Sampling) -> Row:
    flags = _of_all(cases, match_flags, "is compared otherwise (`normalize`)")
    drawn: Row = {"do_sample": False}
    if sampling.temperature > 0:
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p}
    return {
        "generation_kwargs": {"until": list(sampling.stop), "max_gen_toks": sampling.max_tokens} | drawn,
        "filter_list": STRIPPED,
        "metric_list": [{"metric": "exact_match"} | _MEAN | flags],
    }


def _targets(case: Case) -> list[str]:
    if not case.target or not all(
        isinstance(one, str) for one in (case.target if isinstance(case.target, list) else [case.target])
    ):
        raise GoldenSetError(
            f"case {case.id}: its target is no text (or list of some), which lm-eval's exact_match needs"
        )
    if isinstance(case.target, list) and {check["type"] for check in case.checks} != {"one_of"}:
        raise GoldenSetError(
            f"case {case.id}: its target is a list, and no check says that one of it will do"
        )
    return target_texts(case)


def _alike(values: Sequence[list[Any]]) -> list[Any]:
    """Return single values as they are, unless one of them is a list: a column has one type."""
    if all(len(value) == 1 for value in values):
        return [value[0] for value in values]
    return list(values)


def _column(name: str, values: list[Any]) -> tuple[str, list[Any]]:
    """Return how a task names a column, and what the documents hold of it."""
    if not _all_dates(values):
        return name, values
    if any(isinstance(value, list) for value in values):
        raise GoldenSetError(f"every text of {name} is a date, and lm-eval would read lists of them as times")
    return f"{{{{{name}[1:]}}}}", [f" {value}" for value in values]


def _all_dates(values: list[Any]) -> bool:
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return all(_DATE.match(text) for text in texts)


def _choices(cases: Sequence[Case], raw: bool) -> tuple[Row, list[Row]]:
    """Return what a task of choices says, and `choices` and `gold` of each document."""
    norm = _of_all(cases, _norm, "chooses otherwise (`normalize`)")
    spelt = [[continuation.text for continuation in case.continuations] for case in cases]
    # Where all follow a blank it is lm-eval's delimiter, so that acc_norm does not count it.
    blank = raw and all(text[:1] == " " and text[1:2].strip() for texts in spelt for text in texts)
    given = [[text[1:] if blank else text for text in texts] for texts in spelt]
    _column("choices", given)
    if not blank and norm != "none" and any(text != text.lstrip() for texts in given for text in texts):
        raise GoldenSetError("choices that start with blanks count them in lm-eval's acc_norm and acc_bytes")
    gold = _alike([_indices(case) for case in cases])
    documents = [{"choices": texts, "gold": index} for texts, index in zip(given, gold, strict=True)]
    fields = {
        "target_delimiter": " " if blank else "",
        "metric_list": [{"metric": _NORMS[norm]} | _MEAN],
    }
    return fields, documents


def _norm(case: Case) -> str:
    norm = case.checks[0].get("normalize", "none") if case.checks else "none"
    if norm not in _NORMS:
        raise GoldenSetError(f"case {case.id}: lm-eval has no accuracy normalised by {norm}")
    return str(norm)


def _indices(case: Case) -> list[int]:
    texts = [continuation.text.lstrip() for continuation in case.continuations]
    wanted = case.target if isinstance(case.target, list) else [case.target]
    found = [one if type(one) is int else texts.index(one.lstrip()) if one else -1 for one in wanted]
    if not found or not all(0 <= index < len(texts) for index in found):
        raise GoldenSetError(f"case {case.id}: its target {case.target!r} is none of its choices")
    return found


def _yaml(task: Row) -> str:
    from ruamel.yaml import YAML

    stream = io.StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared as None alone
    yaml.width = 1000
    yaml.dump(task, stream)
    return stream.getvalue()
