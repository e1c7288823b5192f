"""From messages to token ids: the chat template where the tokenizer has one, plain text where not."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from harness.cases import Request
from harness.errors import CheckpointError

__all__ = ["encode", "pad_token", "render"]

_TEMPLATE_SECONDS = 10.0


def render(tokenizer: Any, request: Request) -> str:
    """Render a request's messages as the text that the model reads.

    A tokenizer without a chat template (a plain base model) and a raw request get the contents, joined by
    blank lines.

    Raises:
        CheckpointError: The template fails, does not end in time, or there are tools and no template.
    """
    messages = [message.as_dict() for message in request.messages]
    if request.raw or not getattr(tokenizer, "chat_template", None):
        if request.tools:
            why = "are raw, without a chat template" if request.raw else "have a tokenizer without one"
            raise CheckpointError(
                f"tools are shown by the chat template, and the cases that offer them {why}"
            )
        return "\n\n".join(str(message["content"]) for message in messages)
    try:
        with _time_limit(_TEMPLATE_SECONDS):
            return str(
                tokenizer.apply_chat_template(
                    messages,
                    tools=[dict(tool) for tool in request.tools] or None,
                    tokenize=False,
                    add_generation_prompt=True,
                )
            )
    except _TemplateTimeoutError:
        raise CheckpointError(f"the chat template did not end within {_TEMPLATE_SECONDS:g} s") from None
    except Exception as error:  # a template is a foreign program: it may raise anything
        raise CheckpointError(f"the chat template fails on case {request.case_id}: {error}") from error


def encode(tokenizer: Any, text: str, *, templated: bool) -> list[int]:
    """Tokenise a rendered prompt; special tokens are added only where no template wrote them.

    Raises:
        CheckpointError: The prompt would begin with two BOS tokens.
    """
    ids = [int(token) for token in tokenizer(text, add_special_tokens=not templated)["input_ids"]]
    bos = tokenizer.bos_token_id
    if bos is not None and ids[:2] == [bos, bos]:
        raise CheckpointError("prompts begin with two BOS tokens: template and tokenizer both add one")
    return ids


def pad_token(tokenizer: Any, eos_ids: Sequence[int]) -> int:
    """Return an id to pad with; masked positions never see it, so any valid id will do."""
    for candidate in (tokenizer.pad_token_id, *eos_ids):
        if candidate is not None:
            return int(candidate)
    return 0


class _TemplateTimeoutError(Exception):
    """The template used up its time."""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block after some seconds, where the platform can (POSIX, main thread)."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise _TemplateTimeoutError

    previous = signal.signal(signal.SIGALRM, interrupt)
    remaining = signal.setitimer(signal.ITIMER_REAL, seconds)[0]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, remaining)
        signal.signal(signal.SIGALRM, previous)
