"""lm-evaluation-harness's tasks: a YAML file, and documents that lie on this machine.

A case asks what lm-eval asks without examples: the prompt as it is, or with `chat_template` as a user's turn.
Nothing of a task is run: its templates are rendered in a sandbox, and its functions are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError
from harness.interchange.format import Format, Row, as_id
from harness.interchange.lm_eval.decoding import sampling_of
from harness.interchange.lm_eval.documents import read_documents
from harness.interchange.lm_eval.export import write_task
from harness.interchange.lm_eval.metric import check_of, output_type
from harness.interchange.lm_eval.template import Reader
from harness.interchange.lm_eval.yaml import read_task_file

__all__ = ["LM_EVAL_TASK"]


def _read(path: Path, metric: str | None = None, chat_template: bool | None = None) -> Iterator[Row]:
    """Yield a case for each document.

    Args:
        path: The task's YAML.
        metric: Which of its metrics decides a case, where it has several.
        chat_template: Whether the prompt is a user's turn, as with lm-eval's --apply_chat_template; None is
            what an export wrote into the task's metadata, and else the prompt as it is.
    """
    task = read_task_file(path)
    kind, check = output_type(task), check_of(task, metric)
    if chat_template is None:
        metadata = task.values.get("metadata")
        chat_template = isinstance(metadata, Mapping) and metadata.get("chat_template") is True
    documents = read_documents(task)
    for number, (file, line, document) in enumerate(documents.rows, start=1):
        reader = Reader(task, document, documents.columns, f"{file}:{line}")
        row: Row = {"id": as_id(document.get("id"), f"{path.stem}-{number:04d}")}
        if kind == "generate_until":
            row |= _asked(reader, chat_template) | _generated(reader, check)
        elif kind == "loglikelihood_rolling":
            row |= {"continuation": _text(reader), "raw": True, "checks": [check]}
        elif kind == "loglikelihood":
            row |= _asked(reader, chat_template) | {"continuation": _text(reader), "checks": [check]}
        else:
            row |= _chosen(reader, check, chat_template)
        yield row


def _asked(reader: Reader, chat: bool) -> Row:
    """Return the prompt: the description and the question."""
    before, question = reader.description(), reader.text()
    if not isinstance(question, str):
        raise reader.error("doc_to_text", "an index is read for multiple_choice only")
    if not chat:
        return {"raw": True} | ({"input": before + question} if before + question else {})
    if before:
        return {"messages": [{"role": "system", "content": before}, {"role": "user", "content": question}]}
    return {"input": question}


def _generated(reader: Reader, check: Row) -> Row:
    target = reader.target()
    if reader.has_choices:
        texts = reader.choices()
        if type(target) is not int or not 0 <= target < len(texts):
            raise reader.error("doc_to_target", f"{target!r} is no index of its {len(texts)} choices")
        target = texts[target]
    several = isinstance(target, list)
    texts = [_spelt(one, reader) for one in (target if several else [target])]
    if several:
        return {"target": texts, "checks": [check | {"type": "one_of", "values": texts}]}
    # The default of a case with a text for a target is this very check.
    return {"target": texts[0]} | ({"checks": [check]} if check.keys() - {"type"} else {})


def _chosen(reader: Reader, check: Row, chat: bool) -> Row:
    delimiter = str(reader.task.values.get("target_delimiter", " "))
    texts, question = reader.choices(), reader.text()
    checks = {"checks": [check]} if check.keys() - {"type"} else {}
    if isinstance(question, int):  # several questions, one answer: the index is of the right question
        if chat:
            raise reader.error("doc_to_text", "each choice is a prompt of its own, which no conversation has")
        follows = f"{delimiter}{_text(reader)}"
        before = reader.description()
        given = [{"text": follows, "prompt": before + text} for text in texts]
        return {"raw": True, "choices": given, "target": question} | checks
    asked = _asked(reader, chat)
    target = reader.target()
    indices = [
        texts.index(one) if isinstance(one, str) and one in texts else one
        for one in (target if isinstance(target, list) else [target])
    ]
    if not indices or not all(type(one) is int and 0 <= one < len(texts) for one in indices):
        raise reader.error("doc_to_target", f"{target!r} is none of its {len(texts)} choices")
    follow = [text if chat else f"{delimiter}{text}" for text in texts]
    return asked | {"choices": follow, "target": indices if isinstance(target, list) else indices[0]} | checks


def _text(reader: Reader) -> str:
    return _spelt(reader.target(), reader)


def _spelt(value: Any, reader: Reader) -> str:
    if value is None or isinstance(value, (list, dict)) or not str(value):
        raise reader.error("doc_to_target", f"must be a text, not {value!r}")
    return str(value)


def _sampling(path: Path) -> Mapping[str, Any]:
    """Return what a manifest says of the sampling that a task asks for."""
    task = read_task_file(path)
    if output_type(task) != "generate_until":
        return {}
    given = task.values.get("generation_kwargs", {})
    if not isinstance(given, Mapping):
        raise task.error("generation_kwargs", "must be a mapping")
    until = given.get("until", task.values.get("fewshot_delimiter", "\n\n"))
    try:
        wanted = sampling_of({**given, "until": until}, "the task")
    except (ConfigurationError, TypeError, ValueError) as problem:
        raise task.error("generation_kwargs", str(problem)) from None
    found: Row = {"max_tokens": wanted.max_tokens, "temperature": wanted.temperature}
    if wanted.top_p != 1.0:
        found["top_p"] = wanted.top_p
    if wanted.stop:
        found["stop"] = list(wanted.stop)
    return found


LM_EVAL_TASK = Format(
    "lm-eval-task",
    "lm-eval task, YAML with its documents in JSON Lines",
    (".yaml", ".yml"),
    _read,
    options=("metric", "chat_template"),
    sampling_of=_sampling,
    write_files=write_task,
)
