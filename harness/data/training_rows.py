"""Training rows: the three shapes that people keep them in, read strictly into one.

`{"messages": […]}`, `{"prompt": …, "completion": …}` (strings, or lists of messages) and
`{"instruction": …, "input": …, "output": …}` all become an `Example`: a conversation, and from which
message on the assistant's turns are trained.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cases import content_digest
from harness.errors import TrainingDataError
from harness.files.read_json import InvalidJsonError, loads, read_jsonl

__all__ = ["RowFile", "TrainingExample", "normalised_prompt", "read_rows"]

_ROLES = ("system", "developer", "user", "assistant", "tool")
_MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content")
_NO_EFFECT = {
    "system": "write it as the first message",
    "history": "write it as messages",
    "chat_template_kwargs": "put what it switches on into the chat template",
    "images": "only text is trained",
    "image": "only text is trained",
    "videos": "only text is trained",
    "audios": "only text is trained",
    "documents": "write them into a message",
    "functions": "write them as tools",
    "function_call": "write it as tool_calls of a message",
    "tool_calls": "write them into an assistant message",
    "reasoning_content": "write it into an assistant message",
    "chosen": "preferences are not trained; keep the good answer as the completion",
    "rejected": "preferences are not trained; leave it out",
}
"""Keys that other trainers read, and what to do instead: here they would have no effect and say nothing."""
_KEYS = {
    "messages": ("messages",),
    "prompt_completion": ("prompt", "completion"),
    "instruction": ("instruction", "output"),
}


@dataclass(frozen=True)
class TrainingExample:
    """One conversation to train on.

    Attributes:
        messages: The turns, as chat templates take them.
        first_trained: Index of the first message that may be trained; assistant turns from there on are.
        path: File it comes from, as the recipe spells it.
        line: One-based line.
        tools: Functions the assistant may call, for the chat template.
        fields: The row's other keys, where a split finds its groups.
    """

    messages: tuple[Mapping[str, Any], ...]
    first_trained: int
    path: str
    line: int
    tools: tuple[Mapping[str, Any], ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The row's place, `file:line`."""
        return f"{self.path}:{self.line}"

    @property
    def trained(self) -> tuple[int, ...]:
        """Indices of the assistant turns that the loss is computed on."""
        return tuple(
            index
            for index, message in enumerate(self.messages)
            if index >= self.first_trained and message["role"] == "assistant"
        )

    @property
    def digest(self) -> str:
        """Digest of everything that is trained on; exact duplicates share it."""
        return content_digest(
            [list(map(dict, self.messages)), self.first_trained, list(map(dict, self.tools))]
        )


@dataclass(frozen=True)
class RowFile:
    """One source, read: its rows and the digest (sha256) of its bytes."""

    path: str
    sha256: str
    examples: tuple[TrainingExample, ...]


def normalised_prompt(example: TrainingExample) -> str:
    """Return the digest of what comes before the last trained turn, so that equal prompts compare equal.

    Text is compared after Unicode NFKC, case folding and collapsing of white space; system messages don't
    count, because one question under two system prompts is still one question.
    """
    last = example.trained[-1]
    asked = [
        [
            message["role"],
            " ".join(unicodedata.normalize("NFKC", message["content"] or "").casefold().split()),
        ]
        for message in example.messages[:last]
        if message["role"] not in ("system", "developer")
    ]
    return content_digest(asked)


def read_rows(path: Path, *, name: str | None = None, shape: str = "auto") -> RowFile:
    """Read a JSON Lines file of training rows.

    Args:
        path: The file.
        name: How messages spell it; the path by default.
        shape: `messages`, `prompt_completion`, `instruction`, or `auto` to tell each row by its keys.

    Raises:
        TrainingDataError: Names the file and line of the first row that cannot be trained on.
    """
    spelt = str(path) if name is None else name
    digest = hashlib.sha256()
    examples = []
    try:
        for line, row in read_jsonl(path, error=TrainingDataError, digest=digest):
            examples.append(_Row(row, spelt, line).example(shape))
    except TrainingDataError as error:
        if error.path == path and spelt != str(path):
            raise TrainingDataError(_without_place(error), path=spelt, line=error.line) from error
        raise
    if not examples:
        raise TrainingDataError("has no rows", path=spelt)
    return RowFile(spelt, digest.hexdigest(), tuple(examples))


def _without_place(error: TrainingDataError) -> str:
    place = f"{error.path}: " if error.line is None else f"{error.path}:{error.line}: "
    return str(error).removeprefix(place)


class _Row:
    """One JSON object on its way to an `Example`."""

    def __init__(self, row: Mapping[str, Any], path: str, line: int) -> None:
        self._row = row
        self._path = path
        self._line = line

    def example(self, shape: str) -> TrainingExample:
        shape = self._shape() if shape == "auto" else shape
        for key in _KEYS[shape]:
            if key not in self._row:
                raise self._error(f"has no {key!r}, which {shape} rows need; found {self._found()}")
        if shape == "messages":
            messages, first = self._messages("messages"), 0
        elif shape == "prompt_completion":
            prompt = self._turns("prompt", "user")
            messages, first = [*prompt, *self._turns("completion", "assistant")], len(prompt)
        else:
            text = self._text("instruction")
            extra = self._row.get("input")
            if extra is not None and not isinstance(extra, str):
                raise self._error(f"'input' must be a string, not {_kind(extra)}")
            if extra:
                text = f"{text}\n\n{extra}"
            messages, first = [_message("user", text), _message("assistant", self._text("output"))], 1
        self._check_order(messages, first)
        self._refuse_keys_without_effect()
        used = {*_KEYS[shape], "input", "tools"} if shape == "instruction" else {*_KEYS[shape], "tools"}
        return TrainingExample(
            messages=tuple(messages),
            first_trained=first,
            path=self._path,
            line=self._line,
            tools=self._tools(),
            fields={key: value for key, value in self._row.items() if key not in used},
        )

    def _refuse_keys_without_effect(self) -> None:
        for key, instead in _NO_EFFECT.items():
            if self._row.get(key) not in (None, "", [], {}):
                raise self._error(f"has {key!r}, which would have no effect: {instead}")
        label, weight = self._row.get("label"), self._row.get("weight")
        if label is False:
            raise self._error("has the label false, so it is no answer to train on: leave the row out")
        if weight is not None and weight != 1:
            raise self._error("has a 'weight', which would have no effect: leave the row out, or repeat it")

    def _shape(self) -> str:
        shapes = [shape for shape, keys in _KEYS.items() if all(key in self._row for key in keys)]
        if len(shapes) == 1:
            return shapes[0]
        if shapes:
            raise self._error(f"could be {' or '.join(shapes)}: say which in the source's format")
        expected = "messages; prompt and completion; or instruction and output"
        raise self._error(f"has keys {self._found()}; expected {expected}")

    def _turns(self, key: str, role: str) -> list[dict[str, Any]]:
        if isinstance(self._row[key], str):
            return [_message(role, self._text(key))]
        return self._messages(key)

    def _text(self, key: str) -> str:
        value = self._row[key]
        if not isinstance(value, str):
            raise self._error(f"{key!r} must be a string, not {_kind(value)}")
        if not value.strip():
            raise self._error(f"{key!r} is empty")
        return value

    def _messages(self, key: str) -> list[dict[str, Any]]:
        value = self._row[key]
        if not isinstance(value, list) or not value:
            raise self._error(f"{key!r} must be a list of messages, not {_kind(value)}")
        return [self._message(message, f"{key}[{index}]") for index, message in enumerate(value)]

    def _message(self, value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._error(f"{name} must be an object with role and content, not {_kind(value)}")
        role = value.get("role")
        if role not in _ROLES:
            raise self._error(f"{name} has role {role!r}; expected one of {', '.join(_ROLES)}")
        value = {key: item for key, item in value.items() if item is not None or key == "content"}
        unknown = sorted(set(value) - set(_MESSAGE_KEYS))
        if unknown:
            raise self._error(f"{name} has the unknown key {unknown[0]!r}; known: {', '.join(_MESSAGE_KEYS)}")
        content = value.get("content")
        calls = value.get("tool_calls")
        if calls is not None and (role != "assistant" or not isinstance(calls, list)):
            raise self._error(f"{name} has tool_calls that are no list, or are not the assistant's")
        if calls:
            value["tool_calls"] = [
                self._call(call, f"{name}.tool_calls[{number}]") for number, call in enumerate(calls)
            ]
        if content is None and calls:
            content = ""
        if not isinstance(content, str):
            raise self._error(f"{name}.content must be a string, not {_kind(content)}")
        if not content.strip() and not calls and role != "tool":
            raise self._error(f"{name}.content is empty")
        return {**value, "content": content}

    def _call(self, value: Any, name: str) -> dict[str, Any]:
        """Return a call with its arguments as an object: templates encode them, and a text would be twice."""
        function = value.get("function", value) if isinstance(value, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise self._error(f"{name} must be an object with a function and its name")
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            try:
                arguments = loads(arguments) if arguments.strip() else {}
            except InvalidJsonError as problem:
                raise self._error(f"{name}.function.arguments is {problem}") from None
        if not isinstance(arguments, dict):
            raise self._error(f"{name}.function.arguments must be an object, not {_kind(arguments)}")
        function = {**function, "arguments": arguments}
        return {**value, "function": function} if "function" in value else function

    def _check_order(self, messages: Sequence[Mapping[str, Any]], first: int) -> None:
        roles = [message["role"] for message in messages]
        if "assistant" not in roles[first:]:
            raise self._error("has no assistant turn to train on")
        if roles[-1] != "assistant":
            raise self._error(f"ends with a {roles[-1]} turn; the last one must be the assistant's")
        if roles[0] == "assistant":
            raise self._error("starts with an assistant turn, so there is nothing that it answers")
        late = [role for role in roles[1:] if role in ("system", "developer")]
        if late:
            raise self._error(f"has a {late[0]} message after the first turn; it must come first")

    def _tools(self) -> tuple[Mapping[str, Any], ...]:
        tools = self._row.get("tools")
        if tools is None:
            return ()
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
            raise self._error(f"'tools' must be a list of objects, not {_kind(tools)}")
        return tuple(tools)

    def _found(self) -> str:
        return ", ".join(repr(key) for key in list(self._row)[:8]) or "none"

    def _error(self, message: str) -> TrainingDataError:
        return TrainingDataError(message, path=self._path, line=self._line)


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an empty list" if value == [] else "a list" if isinstance(value, list) else "an object"
