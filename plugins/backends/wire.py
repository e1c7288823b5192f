"""What came over the wire: read a chat API's body, and the fields that all of its APIs have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from harness.files.read_json import InvalidJsonError, loads

from .asking import UnavailableError, UnreadableError
from .endpoint import ApiKey

__all__ = ["Body", "one_line", "optional_text", "read_object", "token_count"]

_MOST_BYTES = 32 * 2**20
_MOST_TOKENS = 2**53


class Body(Protocol):
    """A response of either SDK whose body has not been read yet."""

    def iter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Yield the decoded body."""
        ...


def one_line(text: str, limit: int = 300) -> str:
    """Return text that others wrote as one printable line of at most `limit` characters."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


async def read_object(body: Body, key: ApiKey) -> dict[str, Any]:
    """Read a JSON object from the body of a 200, and take the key out that a server may quote in it.

    Raises:
        UnavailableError: It is something else: a web page, too long, cut off.
        UnreadableError: It is a stream of events.
    """
    data = bytearray()
    async for chunk in body.iter_bytes():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise UnavailableError(f"answered 200 with more than {_MOST_BYTES // 2**20} MiB")
    text = data.decode("utf-8", errors="replace")
    if text.lstrip().startswith(("data:", "event:")):
        raise UnreadableError("answered 200 with a stream of events, and no stream was asked for")
    try:
        value = loads(text, surrogates=True)
    except InvalidJsonError as problem:
        what = "a web page" if text.lstrip().startswith("<") else f"what is {key.hide(str(problem))}"
        raise UnavailableError(f"answered 200 with {what}; is the base URL right?") from None
    if not isinstance(value, dict):
        raise UnavailableError("answered 200 with JSON that is no object; is the base URL right?")
    bare: dict[str, Any] = _without(key, value)
    return bare


def _without(key: ApiKey, value: Any) -> Any:
    """Return a JSON value without the key: there is more than one way to spell it in JSON."""
    if isinstance(value, str):
        return key.hide(value)
    if isinstance(value, list):
        return [_without(key, item) for item in value]
    if isinstance(value, dict):
        return {key.hide(name): _without(key, item) for name, item in value.items()}
    return value


def optional_text(reply: Mapping[str, Any], name: str) -> str | None:
    """Return a field that holds text, or None where it is missing or null.

    Raises:
        UnreadableError: It holds something else.
    """
    value = reply.get(name)
    if value is not None and not isinstance(value, str):
        raise UnreadableError(f"`{name}` is no text: {one_line(repr(value), 80)}")
    return value


def token_count(usage: Any, *names: str) -> int | None:
    """Return the sum of these counts of a usage object; None where there is none, or it lacks the first.

    Raises:
        UnreadableError: The usage is no object, or one of them no whole number ≥ 0.
    """
    if usage is None:
        return None
    if not isinstance(usage, dict):
        raise UnreadableError(f"`usage` is no object: {one_line(repr(usage), 80)}")
    counts = [_count(usage.get(name), name) for name in names]
    return None if counts[0] is None else sum(count for count in counts if count is not None)


def _count(value: Any, name: str) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has one kind of number
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 <= value < _MOST_TOKENS):
        raise UnreadableError(f"`usage.{name}` is {one_line(repr(value), 40)}, and no count of tokens")
    return value if is_number else None
