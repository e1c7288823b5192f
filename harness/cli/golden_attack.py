"""What `harness golden test` says of its attack on a set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.golden_sets.attack import CONTRADICTION, REFUSALS, AttackReport, Fallen, check_to_add

__all__ = ["attack_faults", "attack_lines", "fallen_lines"]

_SHOWN = 5


def attack_lines(report: AttackReport) -> Iterator[str]:
    """Yield a summary of an attack: which strategies got past the checks, and how often."""
    if not report.cases:
        return
    for strategy, tried in report.tried.items():
        passed = report.passed.get(strategy, 0)
        if strategy == CONTRADICTION:
            continue
        if passed:
            yield f"  {strategy}: {passed} of {tried} pass ({report.share(strategy):.0%})"
    tried, passed = report.tried.get(CONTRADICTION, 0), report.passed.get(CONTRADICTION, 0)
    left_out = [
        f"{count} cases {why}"
        for count, why in ((report.free, "of free content"), (report.judged, "for a judge"))
        if count
    ]
    without = f"; none made for {' and '.join(left_out)}" if left_out else ""
    share = f"{passed} of {tried} pass ({report.share(CONTRADICTION):.0%})"
    yield f"  contradictions of accepted answers: {share}{without}"


def attack_faults(report: AttackReport, limits: Mapping[str, float]) -> Iterator[str]:
    """Yield what an attack did beyond the manifest's limits, one line each."""
    for strategy in report.tried:
        kind = "contradictions" if strategy == CONTRADICTION else "gaming"
        share = report.share(strategy)
        if strategy != REFUSALS and kind in limits and share > limits[kind]:
            yield f"{strategy}: {share:.1%} pass, and the manifest allows {limits[kind]:.1%}"


def fallen_lines(report: AttackReport, *, everything: bool = False) -> Iterator[str]:
    """Yield the cases that fell, the answer that passes and the check to add: the first, or all."""
    by_case: dict[str, list[Fallen]] = {}
    for fallen in report.fallen:
        by_case.setdefault(fallen.case, []).append(fallen)
    for place, (case, fallen_there) in enumerate(by_case.items()):
        if place == _SHOWN and not everything:
            yield f"    and {len(by_case) - _SHOWN} more cases (--fallen lists them all)"
            return
        for fallen in fallen_there if everything else fallen_there[:1]:
            what = f"{fallen.kind} ({fallen.changed})" if fallen.changed else fallen.kind
            yield f"    {case}: {what} passes: {_shown(fallen.answer)}; add {check_to_add(fallen)}"


def _shown(answer: str, limit: int = 80) -> str:
    return repr(answer if len(answer) <= limit else answer[: limit - 1] + "…")
