"""Raw prompts and likelihoods over the text completions API, which servers of open models still speak.

Likelihoods come from echoed prompts: the server says the log-probability of each token that it read. A text
begins where its prompt alone would end, counted in tokens, as in lm-evaluation-harness 0.4; so the prompt is
asked about too, in the same call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cases import Request, Response
from harness.likelihood import Likelihood

from .asking import RejectedError, UnreadableError
from .choices import choices_by_index
from .finish_reason import read_ending
from .wire import one_line, optional_text, token_count

__all__ = ["answer", "echo_payload", "likelihoods", "prompt_of"]

_ROUNDING = 1e-3
"""How far above 0 the log-probability of a certain token may come out; more is none."""


def prompt_of(request: Request) -> str:
    """Return the text that a raw request asks a model to go on with.

    Raises:
        RejectedError: It offers tools, which only a chat template shows.
    """
    if request.tools:
        raise RejectedError("tools are shown by the chat template, and this case is raw, without one")
    return "\n\n".join(message.content for message in request.messages)


def echo_payload(request: Request) -> dict[str, Any]:
    """Return what asks for the log-probabilities of a request's texts, and of their prompts alone.

    Raises:
        RejectedError: The texts follow messages, which the server would have to render.
    """
    return {
        "prompt": list(_prompts(_texts(request))),
        "max_tokens": 1,  # not every server takes 0
        "temperature": 0.0,
        "logprobs": 1,
        "echo": True,
    }


def _texts(request: Request) -> list[tuple[str, str]]:
    """Return (prompt, text) of each continuation; blanks between the two are the text's, as in lm-eval."""
    if not request.raw and any(one.prompt is None for one in request.continuations):
        raise RejectedError(
            "a server does not say how its chat template renders the messages that these texts follow: "
            "use raw prompts, or a local checkpoint"
        )
    found = []
    for one in request.continuations:
        whole = prompt_of(request) if one.prompt is None else one.prompt
        prompt = whole.rstrip()
        found.append((prompt, whole[len(prompt) :] + one.text))
    return found


def _prompts(texts: Sequence[tuple[str, str]]) -> Mapping[str, int]:
    """Return what is sent, each string once, with its place."""
    wanted = [whole for prompt, text in texts for whole in ([prompt] if prompt else []) + [prompt + text]]
    return {whole: place for place, whole in enumerate(dict.fromkeys(wanted))}


# --- reading -------------------------------------------------------------------------------------------


def answer(completion: Mapping[str, Any], latency_ms: float, *, max_tokens: int) -> Response:
    """Read the answer to a raw prompt.

    Args:
        completion: The JSON object that came.
        latency_ms: How long it took.
        max_tokens: How many tokens were allowed.

    Raises:
        UnavailableError: There is no answer in it, or one that the server did not let end.
        UnreadableError: Something in it is not understood; says what.
    """
    (choice,) = _choices(completion, 1)
    usage = completion.get("usage")
    tokens = token_count(usage, "completion_tokens")
    ending = read_ending(choice.get("finish_reason"), tokens=tokens, max_tokens=max_tokens)
    if ending.reason == "tool_calls":
        raise UnreadableError("a text completion that ended with tool calls")
    if not isinstance(choice.get("text"), str):
        raise UnreadableError(f"a completion whose text is none: {one_line(repr(choice.get('text')), 80)}")
    return Response(
        text=choice["text"],
        finish_reason=ending.reason,
        detail=ending.detail,
        prompt_tokens=token_count(usage, "prompt_tokens"),
        completion_tokens=tokens,
        latency_ms=latency_ms,
        model=optional_text(completion, "model"),
    )


def likelihoods(request: Request, completion: Mapping[str, Any], latency_ms: float) -> Response:
    """Read the log-probabilities that `echo_payload` asked for.

    Raises:
        RejectedError: The server does not say them, or not of every token.
        UnavailableError: There are no choices.
        UnreadableError: The choices are not those of the prompts that were sent.
    """
    texts = _texts(request)
    places = _prompts(texts)
    choices = _choices(completion, len(places))
    generated = token_count(completion.get("usage"), "completion_tokens")
    if generated != len(places):  # or it would not be known where a prompt ends
        raise RejectedError(
            f"the server says that it wrote {generated} tokens after {len(places)} prompts: expected one each"
        )
    echoes = {whole: _echo(choices[place], whole) for whole, place in places.items()}
    found = tuple(
        _likelihood(echoes[prompt + text], len(echoes[prompt]) if prompt else 1, prompt, text)
        for prompt, text in texts
    )
    best = max(range(len(found)), key=lambda place: found[place].logprob)
    return Response(
        request.continuations[best].text,
        latency_ms=latency_ms,
        likelihoods=found,
        model=optional_text(completion, "model"),
    )


_Echo = Sequence[tuple[Any, Any, Any]]
"""(token, log-probability, {token: log-probability} of the likeliest) of each token that the server read."""


def _choices(completion: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
    """Return the choices in the order of the prompts."""
    choices = choices_by_index(completion)
    if choices.keys() != set(range(count)):
        raise UnreadableError(f"answered 200 with {len(choices)} choices for {count} prompts")
    return [choices[place] for place in range(count)]


def _echo(choice: Mapping[str, Any], whole: str) -> _Echo:
    """Return what is said of each token of an echoed prompt; the one that was written after it is dropped."""
    said = choice.get("logprobs")
    if not isinstance(said, dict) or not str(choice.get("text")).startswith(whole):
        raise RejectedError("the server gives no log-probabilities of prompts (echo): use a local checkpoint")
    columns = [said.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
    if (
        not all(isinstance(column, list) for column in columns)
        or len({len(one or ()) for one in columns}) != 1
    ):
        raise RejectedError("the server does not give log-probability and likeliest token of each token")
    return list(zip(*(column or () for column in columns), strict=True))[:-1]


def _likelihood(echo: _Echo, first: int, prompt: str, text: str) -> Likelihood:
    asked = echo[first:]
    if not asked:
        raise RejectedError("the text adds no token to its prompt")
    if not prompt and _begins_with(text, str(echo[0][0])):
        raise RejectedError(
            "the server puts no token before a text without a prompt, and so cannot say how likely its first "
            "one is: use a local checkpoint"
        )
    total, greedy = 0.0, True
    for place, (_, logprob, likeliest) in enumerate(asked):
        values = list(likeliest.values()) if isinstance(likeliest, dict) else []
        if not values or not all(map(_is_logprob, [logprob, *values])):
            raise RejectedError(f"the server gives no log-probability of token {place} of the text")
        total += logprob
        greedy &= logprob >= max(values)
    return Likelihood(min(total, 0.0), len(asked), greedy)


def _is_logprob(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return is_number and value <= _ROUNDING


def _begins_with(text: str, token: str) -> bool:
    """Whether a token is the text's first, and no BOS before it; decoders may drop its leading blank."""
    bare = token.strip()
    return text.lstrip().startswith(bare) if bare else token != "" and text[:1].isspace()
