"""What a reasoning model writes before its answer, and what is left without it."""

from __future__ import annotations

import re

__all__ = ["without_thought"]

_TAG = re.compile(r"<(?P<end>/?)think(?:ing)?>")


def without_thought(text: str) -> str:
    """Return the answer behind what a reasoning model thought: `<think>…</think>` before everything else.

    The opening tag may be missing, as some chat templates write it for the model. A thought that does not end
    is all there is: the answer is empty. Tags inside an answer are its own.
    """
    while True:
        tag = _TAG.search(text) if "<" in text else None
        if tag is None or (not tag["end"] and text[: tag.start()].strip()):
            return text
        end = tag if tag["end"] else next((one for one in _TAG.finditer(text, tag.end()) if one["end"]), None)
        text = "" if end is None else text[end.end() :].lstrip()
        if not text.startswith("<think"):
            return text
