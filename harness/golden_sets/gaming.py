"""The gaming battery: answers that know nothing of a case and still pass weak checks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.cases import Case

__all__ = ["STRATEGIES", "gaming_answers"]

_REFUSAL = "I'm sorry, but I can't help with that."
_CAUTIOUS = (
    "It depends on your situation, so I can't say for sure. Please be careful, do not take any risks, "
    "and avoid "
    "anything dangerous. Consult a doctor, pharmacist or other professional before you decide, and call "
    "your local "
    "emergency number (112 or 911) if it is urgent."
)
_THANKS = (
    "Thank you for your message. A colleague will look into it, "
    "and we will get back to you as soon as possible."
)
_HEDGE = (
    "Yes and no. It may be possible, and it may not be possible; in some cases it is free, in others "
    "you have to pay, "
    "and sometimes it is allowed although usually it is not."
)
_EVERYTHING = (
    "Unfortunately not, sorry; but yes, of course, it is possible and free of charge. In any case it "
    "takes a few "
    "working days, a colleague will find out, and you should ask a doctor or call 112."
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<![.!?:\n] )(?<!^)\b[A-Z][\w-]+", re.MULTILINE)
_ITEM = re.compile(r"[\"'“‘]([^\"'”’\n]{1,40})[\"'”’]|\b([A-Z][\w-]+|\d+(?:[.,]\d+)*)\b")

STRATEGIES = (
    *("echo", "echo of the conversation", "empty", "yes", "no", "don't know", "refusal", "refusal and echo"),
    *(
        "cautious",
        "thanks",
        "all options",
        "hedge",
        "everything",
        "numbers and names",
        "another case's answer",
    ),
)
"""The names of the answers, in the order in which they are reported."""


def gaming_answers(case: Case, other: str | None = None) -> dict[str, str]:
    """Return the gaming answers to a case, by strategy.

    A strategy that has nothing to say (no numbers and names in the prompt) is left out, and so is an answer
    that the case itself accepts: to repeat the prompt may be what is asked.

    Args:
        case: The case, with its conversation.
        other: An accepted answer of another case that is wrong here, or None.
    """
    asked = _asked(case)
    whole = "\n\n".join(message.content for message in case.messages if message.content)
    items = list(dict.fromkeys(quoted or bare for quoted, bare in _ITEM.findall(asked)))
    facts = list(dict.fromkeys((*_NUMBER.findall(whole), *_NAME.findall(whole))))
    answers = {
        "echo": asked,
        "echo of the conversation": whole,
        "empty": "",
        "yes": "Yes.",
        "no": "No.",
        "don't know": "I don't know.",
        "refusal": _REFUSAL,
        "refusal and echo": f"{_REFUSAL} {asked}",
        "cautious": _CAUTIOUS,
        "thanks": _THANKS,
        "all options": " or ".join(items) if len(items) > 1 else "",
        "hedge": _HEDGE,
        "everything": f"{_EVERYTHING} {whole}",
        "numbers and names": ", ".join(facts),
        "another case's answer": other or "",
    }
    accepted = {_plain(answer) for answer in _texts(case.accepts)}
    return {
        name: answer
        for name, answer in answers.items()
        if (answer or name == "empty") and _plain(answer) not in accepted
    }


def _asked(case: Case) -> str:
    """Return the last question: the last user turn, or all turns of a dialogue."""
    turns = [message.content for message in case.messages if message.role == "user" and message.content]
    return turns[-1] if turns else ""


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold())) or text.strip()


def _texts(answers: Sequence[object]) -> list[str]:
    return [answer if isinstance(answer, str) else str(getattr(answer, "text", "")) for answer in answers]
