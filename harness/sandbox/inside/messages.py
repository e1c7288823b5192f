"""Messages between the two processes of a sandbox: length, then UTF-8 JSON."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

__all__ = ["MAX_BYTES", "receive", "send"]

MAX_BYTES = 8 << 20
"""Longest message."""


def send(descriptor: int, message: Any) -> None:
    """Write one message.

    Raises:
        OSError: Nobody reads, or it is too long.
    """
    data = json.dumps(message).encode("ascii")
    if len(data) > MAX_BYTES:
        raise OSError(f"a message of {len(data)} bytes")
    view = memoryview(struct.pack(">I", len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> Any:
    """Read one message; None at the end of the stream, and where what comes is no message."""
    head = _read(descriptor, 4)
    if head is None:
        return None
    (length,) = struct.unpack(">I", head)
    data = _read(descriptor, length) if length <= MAX_BYTES else None
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None


def _read(descriptor: int, length: int) -> bytes | None:
    parts = []
    while length:
        try:
            part = os.read(descriptor, min(length, 1 << 16))
        except OSError:
            return None
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
