"""What a suite measured: its golden set's digest and the code of its tests, to tell a changed one by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MeasuredSuite", "what_changed"]


@dataclass(frozen=True)
class MeasuredSuite:
    """What the record of a run keeps of a suite beside its results.

    Attributes:
        golden: Golden set and version.
        digest: sha256 of all that decides the cases; empty where nobody said.
        tests: Test → digest of its code; a test whose source could not be read is left out.
    """

    golden: str
    digest: str = ""
    tests: Mapping[str, str] = field(default_factory=dict)


def what_changed(ours: MeasuredSuite | None, theirs: MeasuredSuite | None) -> str | None:
    """Say which tests score otherwise than the baseline's did, or None; unknown to either run says nothing.

    Cases are not compared here: each result carries the digest of its case.
    """
    if ours is None or theirs is None:
        return None
    changed = [test for test, digest in ours.tests.items() if theirs.tests.get(test, digest) != digest]
    gone = sorted(set(theirs.tests) - set(ours.tests)) if ours.tests else []
    parts = []
    if changed:
        parts.append(f"the code of {', '.join(changed)} is not what the baseline was scored by")
    if gone:
        parts.append(f"the test {', '.join(gone)} of the baseline is gone")
    if not parts:
        return None
    return f"{'; '.join(parts)}: run the baseline's checkpoint again and accept that run"
