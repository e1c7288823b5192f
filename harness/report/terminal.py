"""Verdicts for people at a terminal, and lines for `grep`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.gate.diagnostics import describe_diagnostic
from harness.gate.verdict import Verdict, points
from harness.report import figures
from harness.report.flips import Flip, flips
from harness.report.plain_text import first_line, one_line, shorten

if TYPE_CHECKING:
    from harness.runs.record import RunRecord

__all__ = [
    "diagnostic_lines",
    "flip_lines",
    "reason_lines",
    "release_lines",
    "slice_lines",
    "suggestions",
    "verdict_lines",
]


def verdict_lines(record: RunRecord) -> list[str]:
    """Return one line per verdict in `key=value` form after its status, for `grep` and logs.

    Scores are shares and differences in points, in ASCII, so that other programs can read them.
    """
    lines = []
    for verdict in record.verdicts:
        fields = [
            f"{verdict.status.value:<12}",
            f"suite={_word(verdict.suite)}",
            f"checkpoint={_word(verdict.checkpoint)}",
            f"baseline={_word(verdict.baseline or 'none')}",
            f"n={verdict.n}",
        ]
        if verdict.mean is not None:
            fields.append(f"mean={verdict.mean:.4f}")
        if verdict.baseline_mean is not None and verdict.delta is not None:
            fields.append(f"baseline_mean={verdict.baseline_mean:.4f}")
            fields.append(f"delta={verdict.delta:+.4f}")
        if verdict.interval is not None:
            fields.append(f"interval=[{verdict.interval[0]:+.4f},{verdict.interval[1]:+.4f}]")
        if verdict.p_value is not None:
            fields.append(f"p={verdict.p_value:.4g}")
        if verdict.adjusted_p is not None:
            fields.append(f"p_adjusted={verdict.adjusted_p:.4g}")
        if verdict.adjusted_delta is not None:
            fields.append(f"adjusted_delta={verdict.adjusted_delta:+.4f}")
        if verdict.noise.share_within is not None:
            fields.append(f"samples={verdict.noise.samples} share_within={verdict.noise.share_within:.2f}")
        if verdict.is_drop_excluded and verdict.largest_drop_left is not None:
            fields.append(f"excludes={verdict.largest_drop_left:.4f}")
        if verdict.gate.tier != "critical":
            fields.append(f"tier={verdict.gate.tier}")
        if verdict.is_compared:
            fields.append(f"flips=+{verdict.improved}/-{verdict.worsened}")
        fields.append(f"invalid={verdict.invalid}")
        fields.append(f"errors={verdict.errors}")
        if verdict.partial:
            fields.append("partial")
        if verdict.not_needed:
            fields.append(f"not_needed={verdict.not_needed}")
        if verdict.reasons:
            fields.append(f"reason={shorten(verdict.reasons[0], 300)}")
        lines.append(" ".join(fields))
    return lines


def reason_lines(record: RunRecord, *, limit: int = 3, width: int = 200) -> list[str]:
    """Return why each verdict is what it is, for people: the table above has the numbers.

    Args:
        record: The session.
        limit: Most reasons per verdict; the deciding ones come first.
        width: Most characters of a reason.
    """
    return [
        f"{one_line(verdict.suite)} × {one_line(verdict.checkpoint)}: {shorten(reason, width)}"
        for verdict in record.verdicts
        for reason in verdict.reasons[:limit]
    ]


def release_lines(record: RunRecord) -> list[str]:
    """Return one line per candidate: whether it may ship, and why."""
    lines = []
    for release in record.releases:
        why = "; ".join(shorten(reason, 200) for reason in release.reasons[:3])
        more = f"; and {len(release.reasons) - 3} more" if len(release.reasons) > 3 else ""
        lines.append(f"release {one_line(release.checkpoint)}: {release.status.value}: {why}{more}")
    return lines


def flip_lines(record: RunRecord, *, limit: int = 5, width: int = 100) -> list[str]:
    """Return the flips of each verdict with the first lines of both answers; worsened cases first.

    Args:
        record: The session.
        limit: Most flips per verdict; the rest is counted.
        width: Most characters of a line.
    """
    lines: list[str] = []
    for verdict in record.verdicts:
        found = flips(record, verdict)
        if not found:
            continue
        worse = sum(flip.worsened for flip in found)
        head = f"{one_line(verdict.suite)} × {one_line(verdict.checkpoint)}"
        lines.append(f"{head}: {worse} worsened, {len(found) - worse} improved")
        for flip in found[:limit]:
            lines.extend(_flip(flip, verdict, width))
        if len(found) > limit:
            lines.append(f"  … and {len(found) - limit} more")
    return lines


def slice_lines(record: RunRecord) -> list[str]:
    """Return one line for each slice whose drop stands out."""
    return [
        f"slice {one_line(one.tag)} of {one_line(one.suite)} × {one_line(one.checkpoint)} fell: "
        f"{points(one.delta)} points, interval {figures.interval(one.interval)}, "
        f"p = {figures.p_values(one.p_value, one.adjusted_p)}, n = {one.n}"
        for one in record.slices
        if one.warns
    ]


def diagnostic_lines(record: RunRecord) -> list[str]:
    """Return one line for each property of the answers that stands out."""
    return [
        f"{one_line(one.suite)} × {one_line(one.checkpoint)}: {one.name}: {describe_diagnostic(one)}"
        for one in record.diagnostics
        if one.warns
    ]


def suggestions(record: RunRecord) -> list[str]:
    """Return what to do next, one sentence each; empty when there is nothing to do."""
    found: list[str] = []
    for verdict in record.verdicts:
        where = f"{one_line(verdict.suite)} × {one_line(verdict.checkpoint)}"
        if verdict.errors:
            found.append(f"{where}: {verdict.errors} cases ended in error; run again: finished ones are kept")
        if verdict.cases_needed is not None:
            found.append(
                f"{where}: about {verdict.cases_needed:,} cases would settle it, there are {verdict.n}"
            )
        if verdict.gate.needs_baseline and verdict.baseline is None:
            found.append(f"{where}: name a baseline with --baseline")
    if record.partial:
        found.append("only a part of the cases was selected: run without -k, --lf and --limit for a verdict")
    return list(dict.fromkeys(found))


def _flip(flip: Flip, verdict: Verdict, width: int) -> list[str]:
    sign = "−" if flip.worsened else "+"
    case = flip.candidate
    change = f"{figures.score_percent(flip.baseline.score)} → {figures.score_percent(case.score)}"
    head = f"  {sign} {shorten(case.case_id, 60)}  {change}"
    asked = first_line(case.input, max(width - len(head) - 4, 20))
    lines = [f"{head}  {asked}" if asked else head]
    sides = (
        (f"base: {shorten(verdict.baseline or 'baseline', 24)}", flip.baseline),
        (shorten(verdict.checkpoint, 30), case),
    )
    name_width = max(len(name) for name, _ in sides)
    room = max(width - name_width - 10, 20)
    for name, result in sides:
        output = first_line(result.outputs[0], room) if result.outputs else ""
        lines.append(f"      {name:<{name_width}}  {output or '(no answer)'}")
    if case.explanation and flip.worsened:
        lines.append(f"      {'why':<{name_width}}  {shorten(case.explanation, room)}")
    return lines


def _word(text: str) -> str:
    """Return a value without spaces, so that `key=value` can be split."""
    return one_line(text).replace(" ", "_")
