"""Which tokens are trained: those of the assistant's turns, proved token by token against the chat template.

A conversation is rendered once. Where the assistant's turns lie in the text is read from the template's
`{% generation %}` markers, or, for a template without them, from how the text grows turn by turn. Then each
turn is checked: its text is the message and an end-of-turn token, its tokens decode to that text, no token
straddles its border, and what precedes it is what the model is given at inference. A template or row that
fails is refused; there is no guess to fall back on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.data.rows import Example
from harness.errors import TrainingDataError

__all__ = ["IGNORED", "ChatFormat", "TokenizedRow", "tokenize_rows"]

IGNORED = -100
"""Label of a token that the loss leaves out; PyTorch's cross entropy ignores it."""

_MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")
_BATCH = 512


@dataclass(frozen=True)
class TokenizedRow:
    """A row as the model sees it.

    Attributes:
        input_ids: Token ids.
        labels: The same ids where the loss is computed, `IGNORED` elsewhere.
        example: Where it comes from.
    """

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    example: Example

    @property
    def trained_tokens(self) -> int:
        """How many tokens the loss is computed on."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True)
class _Turn:
    """One assistant turn in the rendered text: [start, end) in characters, end-of-turn token included."""

    index: int
    start: int
    end: int


class ChatFormat:
    """A tokenizer with its chat template, as training uses them.

    Args:
        tokenizer: A fast tokenizer of transformers.
        name: What messages call it: the base's name, or the template file's.
        template: Jinja text; the tokenizer's own by default.

    Raises:
        TrainingDataError: There is no chat template, or the tokenizer has no character offsets.
    """

    def __init__(self, tokenizer: Any, *, name: str, template: str | None = None) -> None:
        if template is None:
            template = tokenizer.chat_template
        if not isinstance(template, str) or not template:
            raise TrainingDataError(
                f"{name} has no chat template, so rows cannot be put into words for it: "
                "point chat_template in the recipe at a Jinja file"
            )
        if not getattr(tokenizer, "is_fast", False):
            raise TrainingDataError(
                f"{name} has a slow tokenizer without character offsets: convert it first"
            )
        self.tokenizer = tokenizer
        self.name = name
        self.template: str = template
        self.marked = _MARKER.search(template) is not None
        self._special = sorted((str(token) for token in tokenizer.all_special_tokens), key=len, reverse=True)
        self._special += [
            str(token)
            for token in tokenizer.added_tokens_decoder.values()
            if token.special and str(token) not in self._special
        ]

    def render(self, example: Example, messages: Sequence[Mapping[str, Any]], *, prompt: bool = False) -> str:
        """Return the text of a conversation; with `prompt`, up to where the assistant is to speak."""
        return self._rendered(example, messages, prompt=prompt, marked=False)[0]

    def turns(self, example: Example) -> tuple[str, tuple[_Turn, ...]]:
        """Render an example and find the assistant turns to train.

        Raises:
            TrainingDataError: The template cannot be masked on this row, for the reason given.
        """
        self._refuse_special_text(example)
        if self.marked:
            text, turns = self._marked_turns(example)
        else:
            text, turns = self._grown_turns(example)
        for turn in turns:
            self._check_turn(example, text, turn)
        return text, turns

    def labels(
        self,
        example: Example,
        text: str,
        turns: Sequence[_Turn],
        ids: Sequence[int],
        offsets: Sequence[Sequence[int]],
    ) -> list[int]:
        """Label the tokens of the turns and prove that they are the turns, whole and nothing else.

        Raises:
            TrainingDataError: A token straddles a turn's border, or a turn's tokens decode to other text.
        """
        labels = [IGNORED] * len(ids)
        position = 0
        for turn in turns:
            first = None
            while position < len(ids) and offsets[position][0] < turn.end:
                start, end = offsets[position]
                if end > turn.start and end > start:
                    if start < turn.start or end > turn.end:
                        token = self.tokenizer.decode([ids[position]])
                        raise self._error(
                            example,
                            turn,
                            f"the token {token!r} straddles the border of its text, so what is "
                            "trained would not be what is generated",
                        )
                    labels[position] = ids[position]
                    first = position if first is None else first
                position += 1
            decoded = "" if first is None else self._decode(ids[first:position])
            expected = text[turn.start : turn.end]
            if decoded != expected and decoded != expected.removeprefix(" "):
                raise self._error(
                    example,
                    turn,
                    f"its tokens decode to {_clip(decoded)}, not to its text {_clip(expected)}: "
                    "the tokenizer cannot reproduce it",
                )
        return labels

    def _decode(self, ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def _rendered(
        self, example: Example, messages: Sequence[Mapping[str, Any]], *, prompt: bool, marked: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        try:
            render: Any = render_jinja_template  # annotated as returning one string, returns two lists
            texts, spans = render(
                conversations=[[dict(message) for message in messages]],
                tools=[dict(tool) for tool in example.tools] or None,
                chat_template=self.template,
                return_assistant_tokens_mask=marked,
                add_generation_prompt=prompt,
                **self.tokenizer.special_tokens_map,
            )
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            raise self._error(example, None, f"cannot render it: {' '.join(str(error).split())}") from error
        return texts[0], [(int(start), int(end)) for start, end in (spans[0] if spans else ())]

    def _marked_turns(self, example: Example) -> tuple[str, tuple[_Turn, ...]]:
        text, spans = self._rendered(example, example.messages, prompt=False, marked=True)
        speaking = [index for index, message in enumerate(example.messages) if message["role"] == "assistant"]
        if len(spans) != len(speaking):
            raise self._error(
                example,
                None,
                f"marks {len(spans)} assistant turns with {{% generation %}}, the row has {len(speaking)}",
            )
        turns = (_Turn(index, *span) for index, span in zip(speaking, spans, strict=True))
        trained = set(example.trained)
        return text, tuple(turn for turn in turns if turn.index in trained)

    def _grown_turns(self, example: Example) -> tuple[str, tuple[_Turn, ...]]:
        text = self.render(example, example.messages)
        turns = []
        for index in example.trained:
            before = self.render(example, example.messages[:index], prompt=True)
            after = (
                text
                if index + 1 == len(example.messages)
                else self.render(example, example.messages[: index + 1])
            )
            if not (after.startswith(before) and text.startswith(after)):
                raise self._error(
                    example,
                    _Turn(index, 0, 0),
                    "its text changes when later turns are added, so the assistant's "
                    "tokens cannot be told: add {% generation %} markers to the template",
                )
            end = len(after.rstrip())
            turns.append(_Turn(index, len(before), max(end, len(before))))
        return text, tuple(turns)

    def _check_turn(self, example: Example, text: str, turn: _Turn) -> None:
        """Check that a turn is its message and an end-of-turn token, after the prompt of inference."""
        said = text[turn.start : turn.end]
        message = example.messages[turn.index]
        content = message["content"]
        if not message.get("tool_calls") and not message.get("reasoning_content"):
            stripped = content.strip()
            body = content if said.startswith(content) else stripped
            if not said.startswith(body):
                raise self._error(
                    example,
                    turn,
                    f"renders as {_clip(said)}, which does not start with its content {_clip(content)}",
                )
            ending = said[len(body) :]
            if self._end_token(ending.strip()) != ending.strip() or not ending.strip():
                raise self._error(
                    example,
                    turn,
                    f"ends in {_clip(ending)}, expected an end-of-turn token, so the model would "
                    "not learn to stop: put it inside {% generation %}",
                )
        elif self._end_token(said.rstrip()[-max(map(len, self._special), default=0) :]) is None:
            raise self._error(example, turn, "does not end in an end-of-turn token")
        given = self.render(example, example.messages[: turn.index], prompt=True)
        if text[: turn.start] != given:
            shared = next(
                (at for at, (a, b) in enumerate(zip(text, given, strict=False)) if a != b),
                min(len(text), len(given)),
            )
            raise self._error(
                example,
                turn,
                f"follows other text in training than at inference: {_clip(text[shared : turn.start])} "
                f"against {_clip(given[shared:])} of add_generation_prompt",
            )

    def _end_token(self, text: str) -> str | None:
        return next((token for token in self._special if token and text.endswith(token)), None)

    def _refuse_special_text(self, example: Example) -> None:
        for index, message in enumerate(example.messages):
            for token in self._special:
                if token and token in message["content"]:
                    raise TrainingDataError(
                        f"message {index} holds the text {token!r}, which the tokenizer reads as a control "
                        "token: remove or rewrite it",
                        path=example.path,
                        line=example.line,
                    )

    def _error(self, example: Example, turn: _Turn | None, problem: str) -> TrainingDataError:
        what = "this row" if turn is None else f"assistant turn {turn.index} of this row"
        return TrainingDataError(
            f"the chat template of {self.name} fails on {what}: {problem}",
            path=example.path,
            line=example.line,
        )


def tokenize_rows(chat: ChatFormat, examples: Sequence[Example]) -> Iterator[TokenizedRow]:
    """Tokenise examples and label what is trained, in order.

    Raises:
        TrainingDataError: A template that cannot be masked, or a row without a single trained token.
    """
    for start in range(0, len(examples), _BATCH):
        batch = examples[start : start + _BATCH]
        rendered = [chat.turns(example) for example in batch]
        encoded = chat.tokenizer(
            [text for text, _ in rendered],
            add_special_tokens=False,  # the template writes them; a second BOS would be trained on
            return_offsets_mapping=True,
            return_attention_mask=False,
            truncation=False,
            padding=False,
        )
        for example, (text, turns), ids, offsets in zip(
            batch, rendered, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            labels = chat.labels(example, text, turns, ids, offsets)
            if all(label == IGNORED for label in labels[1:]):
                raise TrainingDataError("has no token to train on", path=example.path, line=example.line)
            yield TokenizedRow(tuple(ids), tuple(labels), example)


def _clip(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
