"""Whether the answers of two checkpoints are computed alike, so that what differs is the checkpoints' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import ConfigurationError
from harness.protocols import Checkpoint

__all__ = ["OF_THE_PROMPT", "differences", "require_alike"]

_OF_THE_CHECKPOINT = frozenset({"adapter"})
"""What a checkpoint is, not how it is computed: a base has no adapter to fold."""
_SPOILED = {"adapter": "switched"}
"""What stored runs say of answers that an adapter asked before may have spoiled."""
OF_THE_PROMPT = frozenset({"template", "template_date"})
"""What the model is shown. A base may have no chat template, and a template ask for no date; two checkpoints
that do must be shown the same, whatever backend computes them."""


def differences(ours: Mapping[str, str], theirs: Mapping[str, str], *, one_backend: bool = True) -> str:
    """Say how two numerics differ, as `dtype float32 → bfloat16`; empty when answers can be compared.

    Args:
        ours: Numerics of the candidate.
        theirs: Those of the baseline.
        one_backend: Whether one backend computes both. What is computed by two has no more in common than
            what the models are shown.
    """
    spoiled = any(_SPOILED.items() & numerics.items() for numerics in (ours, theirs))
    changed = [
        key
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
        and (key not in _OF_THE_CHECKPOINT or (spoiled and key in _SPOILED))
        and (key in OF_THE_PROMPT or one_backend)
        and (key not in OF_THE_PROMPT or (key in ours and key in theirs))
    ]
    return ", ".join(f"{key} {theirs.get(key, 'unset')} → {ours.get(key, 'unset')}" for key in changed)


def require_alike(compared: Sequence[Checkpoint]) -> None:
    """Refuse checkpoints that would be compared and are computed, or shown their prompts, in different ways.

    Args:
        compared: The candidates and, last, their baseline.

    Raises:
        ConfigurationError: Their numerics differ; says how, and what to pass.
    """
    if not compared:
        return
    baseline = compared[-1]
    for checkpoint in compared[:-1]:
        alike = checkpoint.backend == baseline.backend
        found = differences(checkpoint.numerics, baseline.numerics, one_backend=alike)
        if found:
            templates = ", or -M template=own, so that each keeps its own" if "template " in found else ""
            raise ConfigurationError(
                f"{checkpoint.spec} would be computed under other numerics than its baseline "
                f"{baseline.spec} ({found}): pass -M KEY=VALUE, so that both are computed alike{templates}"
            )
