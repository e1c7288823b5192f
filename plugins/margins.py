"""Refuse margins below what `harness noise` has measured of the baseline."""

from __future__ import annotations

from harness.errors import ConfigurationError, StoreError

from .session import GateSession

__all__ = ["refuse_margins_below_noise"]


def refuse_margins_below_noise(session: GateSession) -> None:
    """Hold the gates of a session to the noise of its baseline, where that was measured.

    Raises:
        ConfigurationError: A margin lies below the noise, each is named; or what was measured is damaged.
    """
    settings = session.settings
    fingerprint = _baseline_fingerprint(session)
    if settings.allow_margin_below_noise or fingerprint is None or not (settings.state / "noise").exists():
        return
    from harness.noise import margin_problem, read_noise  # most projects have measured none

    try:
        noise = read_noise(settings.state, fingerprint)
    except StoreError as error:
        raise ConfigurationError(str(error)) from error
    if noise is None:
        return
    sampling = {
        "temperature": settings.sampling.temperature,
        "max_tokens": settings.sampling.max_tokens,
    }
    if dict(noise.sampling) != sampling:
        return
    problems = []
    for suite in session.suites:
        known = noise.of(suite.name, suite.golden)
        problem = None if known is None else margin_problem(suite.gate, known, epochs=suite.epochs)
        if problem is not None:
            problems.append(problem)
    if problems:
        raise ConfigurationError("\n".join(problems))


def _baseline_fingerprint(session: GateSession) -> str | None:
    if session.baseline is not None:
        return session.baseline.fingerprint
    if session.stored_baseline is not None:
        return str(session.stored_baseline.about.get("fingerprint"))
    return None
