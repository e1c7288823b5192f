"""What a worker holds: a backend of its own, which answers whole chunks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from harness.cases import Request, Response
from harness.checkpoints.spec import parse_spec
from harness.errors import CheckpointError, UsageError
from harness.protocols import Backend, BackendOptions, Checkpoint
from harness.registry import BACKENDS, load_adapter, names

__all__ = ["Replica", "ReplicaRefusal"]


@dataclasses.dataclass(frozen=True)
class ReplicaRefusal:
    """A usage error on its way back: its message."""

    message: str


class Replica:
    """A backend in a worker's process. It writes neither cache nor store: that is the driver's.

    Args:
        backend: Entry-point name of the backend.
        options: The session's, as the driver's own backend got them.
    """

    def __init__(self, backend: str, options: BackendOptions) -> None:
        self._backend: Backend = load_adapter(BACKENDS, backend)(dataclasses.replace(options, workers=None))
        self._resolved: set[str] = set()

    def pid(self) -> int:
        """Return the id of the worker's process."""
        return os.getpid()

    def answer(
        self, checkpoint: Checkpoint, requests: Sequence[Request]
    ) -> list[tuple[int, Response]] | ReplicaRefusal:
        """Answer a chunk; a checkpoint that cannot be used here is told, not raised, to cross processes."""
        try:
            self._resolve(checkpoint)
            return list(self._backend.generate(checkpoint, requests))
        except UsageError as error:
            return ReplicaRefusal(str(error))

    def _resolve(self, checkpoint: Checkpoint) -> None:
        if checkpoint.fingerprint in self._resolved:
            return
        spec = parse_spec(checkpoint.spec, names(BACKENDS))
        own = self._backend.resolve(spec.name, spec.text)
        if own.fingerprint != checkpoint.fingerprint:
            raise CheckpointError(
                f"{checkpoint.spec}: the worker on {_host()} finds other files than the driver"
            )
        if dict(own.numerics) != dict(checkpoint.numerics):
            differing = sorted(
                key
                for key in {*own.numerics, *checkpoint.numerics}
                if own.numerics.get(key) != checkpoint.numerics.get(key)
            )
            raise CheckpointError(
                f"{checkpoint.spec}: the worker on {_host()} computes otherwise ({', '.join(differing)}); "
                "install the same versions, and fix device and dtype with -M"
            )
        self._resolved.add(checkpoint.fingerprint)


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else "another host"
