"""Where a served model is reached, and the key that opens it."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.errors import ConfigurationError, UsageError

__all__ = ["ApiKey", "Endpoint", "ServedModel", "read_key", "split_name"]

_NAMED_URL = re.compile(r"(?P<model>.+?)@(?P<url>https?://.*)", re.DOTALL)
_MASKED_KEY = re.compile(r"\bsk-[\w.*…-]{4,}")
_SHORTEST_SECRET = 8  # a shorter "key" is a dummy, and a word of the language


@dataclass(frozen=True)
class Endpoint:
    """The base URL of an API: origin and path, nothing secret.

    Attributes:
        url: Without a slash at its end.
        is_loopback: Whether it is on this machine, where servers often want no key.
    """

    url: str
    is_loopback: bool

    @classmethod
    def parse(cls, text: str, source: str) -> Endpoint:
        """Check a base URL.

        Args:
            text: The URL.
            source: Where it was given, for the message.

        Raises:
            ConfigurationError: It is no http(s) URL, or carries credentials, a query or a fragment.
        """
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError(f"{source}: the URL carries credentials; put the key into its variable")
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise ConfigurationError(f"{source}: expected a base URL such as http://localhost:8000/v1")
        shown = f"[{host}]" if ":" in host else host
        origin = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
        return cls(origin + parts.path.rstrip("/"), _is_loopback(host))

    @property
    def origin(self) -> str:
        """Scheme, host and port: what may be shown of it anywhere."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class ApiKey:
    """A secret that shows its variable's name and never itself."""

    __slots__ = ("_value", "variable")

    def __init__(self, value: str, variable: str) -> None:
        self._value = value
        self.variable = variable

    def __repr__(self) -> str:
        return f"<the key in {self.variable}>"

    def reveal(self) -> str:
        """Return the secret, for the one who sends it."""
        return self._value

    def hide(self, text: str) -> str:
        """Return the text without the secret."""
        return text.replace(self._value, "***") if len(self._value) >= _SHORTEST_SECRET else text

    def redact(self, text: str) -> str:
        """Return an error's text without the secret, and without what a provider shows of one."""
        return _MASKED_KEY.sub("sk-***", self.hide(text))


@dataclass(frozen=True)
class ServedModel:
    """A model behind an API, and what opens it.

    Attributes:
        endpoint: Where it is.
        model: The name that is asked for.
        key: What opens the endpoint.
        also_called: Names that the server may give it in its answers, as the user said.
    """

    endpoint: Endpoint
    model: str
    key: ApiKey
    also_called: tuple[str, ...] = ()


def split_name(name: str) -> tuple[str, str | None]:
    """Split `MODEL@https://host/v1` into the model and its base URL; without one the URL is None."""
    match = _NAMED_URL.fullmatch(name)
    return (match["model"], match["url"]) if match else (name, None)


def read_key(variable: str, endpoint: Endpoint) -> ApiKey:
    """Return the key from the environment; a server on this machine may go without.

    Raises:
        UsageError: The variable is not set, or holds what cannot be a key.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        if endpoint.is_loopback:
            return ApiKey("none", variable)
        raise UsageError(
            f"no key for {endpoint.origin}: set {variable} (any value, where the server asks for none)"
        )
    if not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(f"{variable} holds spaces or characters that no key has; copy the key again")
    return ApiKey(value, variable)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
