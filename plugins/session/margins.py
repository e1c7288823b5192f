"""Refuse margins below what `harness noise` has measured of the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.errors import ConfigurationError, StoreError

from .session import GateSession

if TYPE_CHECKING:
    from harness.gate.noise import NoiseRecord

__all__ = ["ignored_noise", "refuse_margins_below_noise"]


def refuse_margins_below_noise(session: GateSession) -> None:
    """Hold the gates of a session to the noise of its baseline, where that was measured.

    What was measured under another sampling or other numerics is of other answers, and holds for no margin.

    Raises:
        ConfigurationError: A margin lies below the noise, each is named; or what was measured is damaged.
    """
    measured = _measured(session)
    if measured is None:
        return
    from harness.gate.noise import margin_problem, other_numerics  # most projects have measured none

    noise, numerics = measured
    if other_numerics(noise, numerics):
        return
    problems = []
    for suite in session.suites:
        known = noise.of(suite.name, suite.golden)
        problem = None if known is None else margin_problem(suite.gate, known, epochs=suite.epochs)
        if problem is not None:
            problems.append(problem)
    if problems:
        raise ConfigurationError("\n".join(problems))


def ignored_noise(session: GateSession) -> str | None:
    """Say that the baseline's noise was measured under other numerics, and holds for no margin; or None."""
    try:
        measured = _measured(session)
    except ConfigurationError:  # it is raised when the suites are collected
        return None
    if measured is None:
        return None
    from harness.gate.noise import other_numerics

    noise, numerics = measured
    differing = other_numerics(noise, numerics)
    if not differing:
        return None
    return (
        f"the noise of {noise.checkpoint} was measured under other numerics ({differing}), so no margin is "
        "held to it: measure it again with harness noise"
    )


def _measured(session: GateSession) -> tuple[NoiseRecord, Mapping[str, str]] | None:
    """Return what was measured of the baseline under this sampling, and the baseline's numerics now."""
    settings = session.settings
    known = _baseline(session)
    if settings.allow_margin_below_noise or known is None or not (settings.state / "noise").exists():
        return None
    from harness.gate.noise import read_noise

    fingerprint, numerics = known
    try:
        noise = read_noise(settings.state, fingerprint)
    except StoreError as error:
        raise ConfigurationError(str(error)) from error
    sampling = {
        "temperature": settings.sampling.temperature,
        "max_tokens": settings.sampling.max_tokens,
    }
    return None if noise is None or dict(noise.sampling) != sampling else (noise, numerics)


def _baseline(session: GateSession) -> tuple[str, Mapping[str, str]] | None:
    """Return the fingerprint and the numerics of what is compared with."""
    if session.baseline is not None:
        return session.baseline.fingerprint, session.baseline.numerics
    if session.stored_baseline is not None:
        entry = session.stored_baseline.entry
        return entry.fingerprint, entry.numerics
    return None
