"""What a reasoning model writes before its answer, and what is left without it.

The delimiters are those of the reasoning parsers of vLLM and of the chat formats of llama.cpp: `<think>`
(Qwen, DeepSeek, LFM2), `<thinking>`, `<thought>`, `<reasoning>`, `[THINK]` (Mistral), `<seed:think>` (Seed),
`<mm:think>` (MiniMax M3), `◁think▷` (Kimi), `<|START_THINKING|>` (Cohere), `<|channel>thought` (Gemma 4),
`[BEGIN FINAL RESPONSE]` (Apriel), and the channels of harmony (gpt-oss).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.cases import Response

__all__ = ["THOUGHT_TOKENS", "answer_of", "ends_in_thought", "without_thought"]

_WORDS = ("think", "thinking", "thought", "reasoning", "seed:think", "mm:think")
_PAIRS = {
    **{f"<{word}>": f"</{word}>" for word in _WORDS},
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel>thought": "<channel|>",
}
_ENDS = {end: start for start, end in _PAIRS.items()} | {"[BEGIN FINAL RESPONSE]": ""}
_TAG = re.compile("|".join(re.escape(tag) for tag in sorted([*_PAIRS, *_ENDS], key=len, reverse=True)))
_FIRST = re.compile(r"[<\[◁]")

THOUGHT_TOKENS = re.compile(r"think|thought|reasoning|channel|message|<\|(?:start|end)\|>", re.IGNORECASE)
"""What the special tokens that a thought is told by contain; a decoder must not leave these out."""

_MESSAGE = "<|message|>"
_AFTER_BODY = re.compile(r"<\|(?:end|return|call)\|>|(?=<\|(?:start|channel)\|>)")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_CALLS = re.compile(r"\bto=(?!assistant\b|user\b)\S")
_BARE_HARMONY = re.compile(r"analysis.*?assistant(?:final|(?=commentary\s+to=))", re.DOTALL)
_BARE_ANALYSIS = re.compile(r"analysis(?=[A-Z\"'\d])")


def answer_of(response: Response) -> str:
    """Return a response's answer behind what was thought, even where its prompt begins the thought."""
    opened = response.prompt is not None and ends_in_thought(response.prompt)
    return without_thought(response.text, opened=opened)


def ends_in_thought(prompt: str) -> bool:
    """Return whether a prompt ends with the beginning of a thought, as some chat templates write it."""
    return prompt.rstrip().endswith(tuple(_PAIRS))


def without_thought(text: str, *, opened: bool = False) -> str:
    """Return the answer behind what a reasoning model thought before everything else.

    The opening tag may be missing, as some chat templates write it for the model. A thought that does not end
    is all there is: the answer is empty. Tags inside an answer, and quoted ones, are text.

    Args:
        text: What the model wrote.
        opened: Whether its prompt began the thought.
    """
    if _MESSAGE in text:
        return _without_analysis(text, opened)
    if text.startswith("analysis"):
        bare = _BARE_HARMONY.match(text)
        if bare is not None:
            return text[bare.end() :].lstrip()
        if _BARE_ANALYSIS.match(text):
            return ""
    at = 0
    while (end := _end_of_thought(text, at, opened)) is not None:
        at, opened = end, False
        while at < len(text) and text[at].isspace():
            at += 1
        if _FIRST.match(text, at) is None:
            break
    return text[at:]


def _end_of_thought(text: str, start: int, opened: bool) -> int | None:
    """Return where the thought at `start` ends, the text's length if nowhere; None where there is none."""
    depth = 1 if opened else 0
    family: str | None = None
    for tag in _tags(text, start):
        word = tag.group()
        if word in _PAIRS:
            if not depth and text[start : tag.start()].strip():
                return None  # a tag within an answer is a part of it
            if family in (None, word):
                family, depth = word, depth + 1
        elif family in (None, _ENDS[word]):
            if family is None and not opened and (start or _in_fence(text, tag.start())):
                return None
            depth -= 1
            if depth <= 0:
                return tag.end()
    return len(text) if depth else None


def _tags(text: str, start: int) -> Iterator[re.Match[str]]:
    """Yield the tags that are not quoted."""
    for tag in _TAG.finditer(text, start):
        line = text[text.rfind("\n", 0, tag.start()) + 1 : tag.start()]
        before, after = line[-1:], text[tag.end() : tag.end() + 1]
        if before and (before + after) in ('""', "``", "“”", "«»") and line.count(before) % 2:
            continue
        if before == after == "'" and not line[-2:-1].isalnum():
            continue
        yield tag


def _in_fence(text: str, at: int) -> bool:
    return len(re.findall(r"^[ \t]*(?:```|~~~)", text[:at], re.MULTILINE)) % 2 == 1


def _without_analysis(text: str, opened: bool) -> str:
    """Return harmony's final messages, the commentary where there is none, and calls as they are."""
    finals: list[str] = []
    others: list[str] = []
    calls: list[str] = []
    head, *parts = text.split(_MESSAGE)
    for part in parts:
        after = _AFTER_BODY.search(part)
        body, ending = (part, "") if after is None else (part[: after.start()], after.group())
        channels = _CHANNEL.findall(head)
        channel = channels[-1] if channels else "analysis" if opened else "final"
        if _CALLS.search(head):
            calls.append(f"{head}{_MESSAGE}{body}{ending}")
        elif channel == "final":
            finals.append(body)
        elif channel != "analysis":
            others.append(body)
        head = "" if after is None else part[after.end() :]
    return "".join([*(finals or others), *calls]).strip()
