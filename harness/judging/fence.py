"""Fences around text that a judge must read and never obey.

Every piece of untrusted text stands between two lines that carry a code. The code is a digest of the very
text it encloses (HMAC-SHA-256, RFC 2104, 128 bits of it), so no text can contain its own: a forger would have
to write an answer that holds a part of its own digest, 2^128 tries away, and a model under test writes its
answer once. Nothing secret is involved, which keeps the judge's requests the same on every machine and
therefore cacheable.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

__all__ = ["fence", "fence_code", "neutralise"]

_DIGITS = 32
_CONTROLS = {code: None for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_INVISIBLE = dict.fromkeys(  # zero-width, direction overrides, joiners that nothing joins, tags, selectors
    code
    for first, last in (
        (0x200B, 0x200B),
        (0x202A, 0x202E),
        (0x2060, 0x2069),
        (0xFEFF, 0xFEFF),
        (0xE0000, 0xE01EF),
    )
    for code in range(first, last + 1)
)
_MARKER = re.compile(r"(?<!<)<{3,}(?!<)(?=\s*[A-Z])|(?<=[0-9A-Fa-f]{8})\s*>{3,}")
_CHAT_TOKEN = re.compile(  # ChatML, Llama, DeepSeek, Phi; Mistral; Gemma, T5, GLM, Cohere; tools
    r"<(?=[|｜])|(?<=[|｜])>|<(?=/?s>)|<<(?=/?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|CONTENT|RESULTS)|ARGS|CALL_ID|THINK|gMASK)\])"
    r"|<(?=/?(?:(?:start|end)_of_(?:turn|image)|[be]os(?:_token)?|sop|eop|pad|unk|unused\d+|extra_id_\d+"
    r"|think(?:ing)?|tools?|tool_(?:call|response)s?)>)",
    re.IGNORECASE,
)


def fence_code(texts: Sequence[str], seed: int) -> str:
    """Return the code (32 hex digits) that fences these texts in one request.

    Args:
        texts: Everything that will be fenced, in order.
        seed: Of the session; another seed gives other codes.
    """
    counter = 0
    while True:
        mac = hmac.new(f"checkpoint-harness fence {seed} {counter}".encode(), digestmod=hashlib.sha256)
        for text in texts:
            data = text.encode("utf-8", errors="replace")
            mac.update(len(data).to_bytes(8, "big") + data)
        code = mac.hexdigest()[:_DIGITS]
        if not any(code in text for text in texts):
            return code
        counter += 1


def fence(label: str, text: str, code: str) -> str:
    """Return text that `neutralise` returned between its two marker lines."""
    return f"<<<{label} {code}\n{text}\n{label} {code}>>>"


def neutralise(text: str) -> str:
    """Return text in which nothing looks like a fence or a chat template's control token.

    The codes alone keep fences apart; this takes away what might confuse a judge all the same. Control tokens
    matter because some servers read them as such inside a message. Characters that nobody sees are dropped.
    """
    seen = text.encode("utf-8", errors="replace").decode("utf-8").translate(_CONTROLS | _INVISIBLE)
    spaced = _MARKER.sub(lambda match: " ".join(match.group().strip()), seen)
    return _CHAT_TOKEN.sub(lambda match: f" {match.group()} ", spaced)
