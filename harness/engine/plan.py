"""What a session must ask: requests of checkpoints, deduplicated by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from harness.cases import Request, canonical_json
from harness.protocols import Checkpoint

__all__ = ["Plan", "PlannedRequest", "RequestKeys", "request_key"]

_KEY_VERSION = 1


def request_key(checkpoint: Checkpoint, request: Request) -> str:
    """Return the identity of an answer (sha256, 64 hex digits): what was asked of what, computed how.

    The checkpoint's fingerprint covers weights, adapter, tokenizer and chat template, so messages and
    tools together with it determine the rendered prompt; a template sees a pinned date instead of a clock.
    Display names, paths and scorers have no part in it.
    """
    return RequestKeys(checkpoint).of(canonical_json(request.as_dict()), request.case_id)


class RequestKeys:
    """The keys of one checkpoint's requests: what they share is spelled once.

    A key is the digest of one object in canonical JSON, put together here in the order of its keys:
    backend, case (where answers belong to cases), fingerprint, numerics, request, version.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._head = f'{{"backend":{canonical_json(checkpoint.backend)}'
        self._tail = (
            f',"fingerprint":{canonical_json(checkpoint.fingerprint)}'
            f',"numerics":{canonical_json(dict(checkpoint.numerics))},"request":'
        )
        self._by_case = checkpoint.keyed_by_case

    def of(self, spelling: str, case_id: str | None) -> str:
        """Return the key of a request.

        Args:
            spelling: Canonical JSON of `Request.as_dict()`.
            case_id: The case that asks.
        """
        case = f',"case":{_spelled(case_id)}' if self._by_case else ""
        identity = f'{self._head}{case}{self._tail}{spelling},"version":{_KEY_VERSION}}}'
        return hashlib.sha256(identity.encode("ascii")).hexdigest()


def _spelled(case_id: str | None) -> str:
    """Return the canonical JSON of a case's id, which is asked for by every request."""
    return "null" if case_id is None else encode_basestring_ascii(case_id)


class PlannedRequest(NamedTuple):
    """A request, the checkpoint it goes to, and the key its answer is kept under; one for every answer."""

    checkpoint: Checkpoint
    request: Request
    key: str


class Plan:
    """One stage's requests in the order they were first wanted, each once."""

    def __init__(self) -> None:
        self._requests: dict[str, PlannedRequest] = {}

    def add(self, checkpoint: Checkpoint, request: Request, key: str | None = None) -> str:
        """Want an answer; return its key.

        Args:
            checkpoint: Whom to ask.
            request: What to ask.
            key: `request_key` of the two, where the caller knows it already.
        """
        key = key or request_key(checkpoint, request)
        if key not in self._requests:
            self._requests[key] = PlannedRequest(checkpoint, request, key)
        return key

    def put(self, planned: PlannedRequest) -> None:
        """Want an answer whose key is known."""
        self._requests.setdefault(planned.key, planned)

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[PlannedRequest]:
        return iter(self._requests.values())

    def by_checkpoint(self, keys: Iterable[str]) -> list[tuple[Checkpoint, list[PlannedRequest]]]:
        """Group the requests with these keys by checkpoint; adapters of one base stand side by side."""
        groups: dict[object, list[PlannedRequest]] = {}
        for key in keys:
            planned = self._requests[key]
            groups.setdefault(_computed(planned.checkpoint), []).append(planned)
        ordered = sorted(
            groups.values(), key=lambda group: group[0].checkpoint.base or group[0].checkpoint.fingerprint
        )
        return [(group[0].checkpoint, group) for group in ordered]


def _computed(checkpoint: Checkpoint) -> tuple[object, ...]:
    """Return what is computed, and how: two backends may hold the same files."""
    return checkpoint.backend, checkpoint.fingerprint, tuple(sorted(checkpoint.numerics.items()))
