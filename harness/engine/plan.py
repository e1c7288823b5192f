"""What a session must ask: requests of checkpoints, deduplicated by content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.cases import Request, content_digest
from harness.protocols import Checkpoint

__all__ = ["Plan", "PlannedRequest", "request_key"]

_KEY_VERSION = 1


def request_key(checkpoint: Checkpoint, request: Request) -> str:
    """Return the identity of an answer (sha256, 64 hex digits): what was asked of what, computed how.

    The checkpoint's fingerprint covers weights, adapter, tokenizer and chat template, so messages and
    tools together with it determine the rendered prompt; a template sees a pinned date instead of a clock.
    Display names, paths and scorers have no part in it.
    """
    identity = {
        "version": _KEY_VERSION,
        "backend": checkpoint.backend,
        "fingerprint": checkpoint.fingerprint,
        "numerics": dict(checkpoint.numerics),
        "request": request.as_dict(),
    }
    if checkpoint.keyed_by_case:
        identity["case"] = request.case_id
    return content_digest(identity)


@dataclass(frozen=True)
class PlannedRequest:
    """A request, the checkpoint it goes to, and the key its answer is kept under."""

    checkpoint: Checkpoint
    request: Request
    key: str


class Plan:
    """One stage's requests in the order they were first wanted, each once."""

    def __init__(self) -> None:
        self._requests: dict[str, PlannedRequest] = {}

    def add(self, checkpoint: Checkpoint, request: Request) -> str:
        """Want an answer; return its key."""
        key = request_key(checkpoint, request)
        if key not in self._requests:
            self._requests[key] = PlannedRequest(checkpoint, request, key)
        return key

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[PlannedRequest]:
        return iter(self._requests.values())

    def by_checkpoint(self, keys: Iterable[str]) -> list[tuple[Checkpoint, list[PlannedRequest]]]:
        """Group the requests with these keys by checkpoint; adapters of one base stand side by side."""
        groups: dict[str, list[PlannedRequest]] = {}
        for key in keys:
            planned = self._requests[key]
            groups.setdefault(planned.checkpoint.fingerprint, []).append(planned)
        ordered = sorted(
            groups.values(), key=lambda group: group[0].checkpoint.base or group[0].checkpoint.fingerprint
        )
        return [(group[0].checkpoint, group) for group in ordered]
