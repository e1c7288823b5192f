"""A chat template, and where in the text that it renders the assistant speaks.

Where the assistant's turns lie is read from the template's `{% generation %}` markers, or, for a template
without them, from how the text grows turn by turn. Then each turn is checked: what precedes it is what the
model is given at inference, its text is the message, and it ends in an end-of-turn token. A template that
fails on a row is refused with the row's place; there is no guess to fall back on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.data.training_rows import TrainingExample
from harness.errors import TrainingDataError
from harness.train.row_proof import left_out
from harness.upstream.transformers_internals import template_renderer

__all__ = ["ChatFormat", "Turn", "clip"]

_MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class Turn:
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
        self._opening: str | None = None
        self._renderer = template_renderer()
        self.marked = self._renderer is not None and _MARKER.search(template) is not None
        self._special = sorted((str(token) for token in tokenizer.all_special_tokens), key=len, reverse=True)
        self._special += [
            str(token)
            for token in tokenizer.added_tokens_decoder.values()
            if token.special and str(token) not in self._special
        ]

    def render(
        self, example: TrainingExample, messages: Sequence[Mapping[str, Any]], *, prompt: bool = False
    ) -> str:
        """Return the text of a conversation; with `prompt`, up to where the assistant is to speak."""
        return self._rendered(example, messages, prompt=prompt, marked=False)[0]

    def turns(self, example: TrainingExample) -> tuple[str, tuple[Turn, ...]]:
        """Render an example and find the assistant turns to train.

        Raises:
            TrainingDataError: The template cannot be masked on this row, for the reason given.
        """
        self._refuse_special_text(example)
        if self.marked:
            text, turns = self._marked_turns(example)
        else:
            text, turns = self._grown_turns(example)
        turns = tuple(self._checked_turn(example, text, turn) for turn in turns)
        missing = left_out(example, text, {turn.index: text[turn.start : turn.end] for turn in turns})
        if missing is not None:
            raise self.error(
                example,
                None,
                f"its text leaves out {missing}: use a template that writes it, or remove it from the row",
            )
        return text, turns

    def _rendered(
        self, example: TrainingExample, messages: Sequence[Mapping[str, Any]], *, prompt: bool, marked: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        from jinja2 import TemplateError

        conversation = [dict(message) for message in messages]
        shared: dict[str, Any] = {
            "tools": [dict(tool) for tool in example.tools] or None,
            "chat_template": self.template,
            "add_generation_prompt": prompt,
        }
        try:
            if self._renderer is None:
                return self.tokenizer.apply_chat_template(conversation, tokenize=False, **shared), []
            texts, spans = self._renderer(
                conversations=[conversation],
                return_assistant_tokens_mask=marked,
                **shared,
                **self.tokenizer.special_tokens_map,
            )
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            raise self.error(example, None, f"cannot render it: {' '.join(str(error).split())}") from error
        return texts[0], [(int(start), int(end)) for start, end in (spans[0] if spans else ())]

    def _marked_turns(self, example: TrainingExample) -> tuple[str, tuple[Turn, ...]]:
        text, marked = self._rendered(example, example.messages, prompt=False, marked=True)
        spans: list[tuple[int, int]] = []
        for start, end in marked:  # a turn may be marked in several pieces
            if spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        speaking = [index for index, message in enumerate(example.messages) if message["role"] == "assistant"]
        if len(spans) != len(speaking):
            raise self.error(
                example,
                None,
                f"marks {len(spans)} assistant turns with {{% generation %}}, the row has {len(speaking)}",
            )
        turns = (Turn(index, *span) for index, span in zip(speaking, spans, strict=True))
        trained = set(example.trained)
        return text, tuple(turn for turn in turns if turn.index in trained)

    def _grown_turns(self, example: TrainingExample) -> tuple[str, tuple[Turn, ...]]:
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
                raise self.error(
                    example,
                    Turn(index, 0, 0),
                    "its text changes when later turns are added, so the assistant's "
                    "tokens cannot be told: add {% generation %} markers to the template",
                )
            end = len(after.rstrip())
            turns.append(Turn(index, len(before), max(end, len(before))))
        return text, tuple(turns)

    def _checked_turn(self, example: TrainingExample, text: str, turn: Turn) -> Turn:
        """Return the turn, from where the model speaks, once its text is proved to be its message."""
        given = self.render(example, example.messages[: turn.index], prompt=True)
        if not text.startswith(given) or not turn.start <= len(given) < turn.end:
            pairs = enumerate(zip(text, given, strict=False))
            shared = next((at for at, (one, other) in pairs if one != other), min(len(text), len(given)))
            before = text[shared : turn.start]
            raise self.error(
                example,
                turn,
                f"starts after {clip(before)} in training, and after {clip(given[shared:])} at inference "
                "(add_generation_prompt)",
            )
        said = text[len(given) : turn.end].rstrip()  # what follows the end-of-turn token is never generated
        turn = replace(turn, start=len(given), end=len(given) + len(said))
        body = self._without_ending(said)
        if body is None:
            raise self.error(
                example,
                turn,
                f"renders as {clip(said)} without an end-of-turn token, so the model would not learn "
                "to stop: put it inside {% generation %}",
            )
        message = example.messages[turn.index]
        if not message.get("tool_calls") and not message.get("reasoning_content"):
            self._check_content(example, turn, body, message["content"])
        return turn

    def _check_content(self, example: TrainingExample, turn: Turn, body: str, content: str) -> None:
        """Check that a turn says its content, after nothing but what the template opens every turn with."""
        said = next((text for text in (content, content.strip()) if body.endswith(text)), None)
        if said is None:
            raise self.error(
                example,
                turn,
                f"renders as {clip(body)}, which does not end with its content {clip(content)}",
            )
        opening = body.removesuffix(said)
        if self._opening is None:
            self._opening = opening
        if opening != self._opening:
            raise self.error(
                example,
                turn,
                f"opens with {clip(opening)}, turns before it with {clip(self._opening)}: the model "
                "could not know which; add {% generation %} markers, or leave earlier turns out of the row",
            )

    def _without_ending(self, said: str) -> str | None:
        """Return a turn's text before its end-of-turn tokens; None when it has none."""
        rest = said
        while (token := self._end_token(rest.rstrip())) is not None:
            rest = rest.rstrip().removesuffix(token)
        return rest if rest != said else None

    def _end_token(self, text: str) -> str | None:
        return next((token for token in self._special if token and text.endswith(token)), None)

    def _refuse_special_text(self, example: TrainingExample) -> None:
        for index, message in enumerate(example.messages):
            for token in self._special:
                if token and token in message["content"]:
                    raise TrainingDataError(
                        f"message {index} holds the text {token!r}, which the tokenizer reads as a control "
                        "token: remove or rewrite it",
                        path=example.path,
                        line=example.line,
                    )

    def error(self, example: TrainingExample, turn: Turn | None, problem: str) -> TrainingDataError:
        """Return the error that this template fails on a row."""
        what = "this row" if turn is None else f"assistant turn {turn.index} of this row"
        return TrainingDataError(
            f"the chat template of {self.name} fails on {what}: {problem}",
            path=example.path,
            line=example.line,
        )


def clip(text: str, limit: int = 60) -> str:
    """Quote a text for a message, cut to `limit` characters."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
