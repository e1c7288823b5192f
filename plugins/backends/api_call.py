"""One call of an API: what is sent, how the answer is read, and what helps where it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Response

__all__ = ["ApiCall"]


def _no_remedy(parameters: Sequence[str], message: str) -> None:
    """Know of nothing that helps."""


@dataclass(frozen=True)
class ApiCall:
    """One call of an API.

    Attributes:
        create: The SDK's method, with a streaming response.
        payload: Its arguments.
        read: From the JSON object that came back, and the milliseconds that it took, to the response. Raises
            `UnavailableError`, `UnreadableError` or `RejectedError`.
        max_tokens: How many tokens of answer it allows.
        api: Which of the endpoint's APIs it is, for messages.
        remedy: From the parameters that a refusal names, and what it says, to what the user can pass to be
            understood; None where nothing helps.
    """

    create: Callable[..., Any]
    payload: Mapping[str, Any]
    read: Callable[[Mapping[str, Any], float], Response]
    max_tokens: int
    api: str = "chat"
    remedy: Callable[[Sequence[str], str], str | None] = _no_remedy

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what is sent."""
        return (*self.payload, *self.payload.get("extra_body", ()))
