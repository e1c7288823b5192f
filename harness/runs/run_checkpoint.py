"""What the record of a run keeps of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.protocols import Checkpoint

__all__ = ["RunCheckpoint", "RunRole"]

RunRole = Literal["candidate", "baseline", "judge"]


@dataclass(frozen=True)
class RunCheckpoint:
    """A checkpoint of a run: whose answers these are, and how they were computed.

    Attributes:
        spec: What it was gated as, such as `hf/org/model@revision`; its results carry it.
        name: Display name.
        role: candidate, baseline or judge.
        fingerprint: Of everything that decides its answers; empty where a record does not say.
        backend: Name of the backend.
        numerics: How its answers were computed; see `harness.numerics`.
        trusted: What was allowed that is refused by default, such as `trust_remote_code`.
        rewritten: That its files changed during the run, in a sentence; None where they did not.
        run: Id of the stored run that it is from, in a comparison of stored runs; else None.
    """

    spec: str
    name: str
    role: RunRole
    fingerprint: str = ""
    backend: str | None = None
    numerics: Mapping[str, Any] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    rewritten: str | None = None
    run: str | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint, role: RunRole, *, rewritten: str | None = None) -> RunCheckpoint:
        """Return the entry of a checkpoint of this session."""
        return cls(
            spec=checkpoint.spec,
            name=checkpoint.name,
            role=role,
            fingerprint=checkpoint.fingerprint,
            backend=checkpoint.backend,
            numerics=dict(checkpoint.numerics),
            trusted=tuple(checkpoint.trusted),
            rewritten=rewritten,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        entry: dict[str, Any] = {
            "spec": self.spec,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "role": self.role,
            "backend": self.backend,
            "numerics": dict(self.numerics),
            "trusted": list(self.trusted),
        }
        optional = {"rewritten": self.rewritten, "run": self.run}
        return entry | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunCheckpoint:
        """Read what `as_dict` wrote; a record of an earlier version may say less.

        Raises:
            KeyError: Spec or role is missing.
            ValueError: The role is none of the three.
        """
        role = data["role"]
        if role not in ("candidate", "baseline", "judge"):
            raise ValueError(f"a checkpoint has the role {role!r}: expected candidate, baseline or judge")
        return cls(
            spec=data["spec"],
            name=data.get("name") or data["spec"],
            role=role,
            fingerprint=data.get("fingerprint") or "",
            backend=data.get("backend"),
            numerics=data.get("numerics") or {},
            trusted=tuple(data.get("trusted") or ()),
            rewritten=data.get("rewritten"),
            run=data.get("run"),
        )
