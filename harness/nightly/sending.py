"""JSON to and from a web API: one address, no redirects, a time limit, and no secret in an error."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from harness.errors import ConfigurationError, StoreError

__all__ = ["send_json"]

_SECONDS = 20.0
_LONGEST_ANSWER = 2**22
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token, or the message, to an address that nobody named."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def send_json(
    method: str,
    address: str,
    body: Mapping[str, Any] | None = None,
    *,
    called: str,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Send a request and return its answer's JSON, or None where the answer is none.

    Args:
        method: Of HTTP.
        address: With https; plain http only to this machine.
        body: What to send.
        called: What the address is called in errors: the address itself may be a secret.
        headers: Beside the content's type.

    Raises:
        ConfigurationError: The address is not one to send to.
        StoreError: No answer, or one that says it failed.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if host is None or (parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK)):
        raise ConfigurationError(f"{called}: its address must begin with https://")
    request = urllib.request.Request(  # noqa: S310 (the scheme is checked above)
        address,
        data=None if body is None else json.dumps(body).encode("ascii"),
        headers={"Content-Type": "application/json", "User-Agent": "checkpoint-harness", **(headers or {})},
        method=method,
    )
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=_SECONDS) as answer:
            text = answer.read(_LONGEST_ANSWER)
    except urllib.error.HTTPError as problem:
        raise StoreError(f"{called}: {method} was answered with status {problem.code}") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as problem:
        reason = getattr(problem, "reason", None) or type(problem).__name__
        raise StoreError(f"{called}: no answer: {reason}") from None
    try:
        return json.loads(text)
    except ValueError:
        return None
