"""A run as Markdown, for pull requests and issue trackers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.gate.release import Release
from harness.gate.verdict import Status, Verdict, percent, points
from harness.report import figures
from harness.report.classes import classification_tables
from harness.report.flips import Flip, flips
from harness.report.plain_text import one_line, visible_lines
from harness.report.terminal import diagnostic_lines, release_lines
from harness.runs.record import RunRecord
from harness.runs.selection import Selection

__all__ = ["render_markdown", "render_selection"]

_MARKS = {Status.PASS: "🟢", Status.REGRESSED: "🔴", Status.FAILED: "🔴", Status.INCONCLUSIVE: "🟡"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~$@&:])")
_WEB = re.compile(r"(www)\.", re.IGNORECASE)  # makes a link by itself
_OUTPUT_LIMIT = 1_000


def render_markdown(record: RunRecord, *, limit: int = 10) -> str:
    """Return GitHub-flavoured Markdown: verdicts, reasons, slices that fell, flips with both outputs.

    Text that a model or a user wrote is shown as it is and cannot become markup, a mention or a link.

    Args:
        record: A session or a comparison.
        limit: Most flips per verdict; the rest is counted.
    """
    lines = ["## Checkpoint Harness", "", _headline(record), ""]
    lines += [f"- {_MARKS[release.status]} {_escaped(line)}" for release, line in _releases(record)]
    lines += ["", *_table(record), ""]
    for verdict in record.verdicts:
        about = f"**{_escaped(verdict.suite)} × {_escaped(verdict.checkpoint)}**"
        lines += [f"- {about}: {_escaped(reason)}" for reason in verdict.reasons]
    lines += [f"- ⚠ {_escaped(line)}" for line in diagnostic_lines(record)]
    lines += classification_tables(record, _escaped)
    fallen = [one for one in record.slices if one.warns]
    if fallen:
        lines += [
            "",
            "### Slices that fell",
            "",
            "| suite | checkpoint | slice | n | Δ points | interval | p (adj.) |",
        ]
        lines += ["| --- | --- | --- | ---: | ---: | ---: | ---: |"]
        lines += [
            f"| {_escaped(one.suite)} | {_escaped(one.checkpoint)} | {_escaped(one.tag)} | {one.n} "
            f"| {points(one.delta)} | {figures.interval(one.interval)} | {_p(one.p_value, one.adjusted_p)} |"
            for one in fallen
        ]
    for verdict in record.verdicts:
        found = flips(record, verdict)
        if found:
            lines += ["", *_flips(verdict, found, limit)]
    lines += ["", f"<sub>run {_escaped(record.run)}, {_escaped(record.created)}. {_legend(record)}</sub>", ""]
    return "\n".join(lines)


def render_selection(selection: Selection, lead: str | None) -> str:
    """Return GitHub-flavoured Markdown: the choice, what its lead is worth, and every checkpoint's place.

    Args:
        selection: The choice.
        lead: How far it lies from the baseline, corrected for the choice; None where nothing was chosen.
    """
    suites = [objective.suite for objective in selection.rule.objectives]
    headings = ["", "checkpoint", *map(_escaped, suites), "score", "against the choice"]
    rows = [headings, ["--:", ":--", *["--:"] * (len(suites) + 1), ":--"]]
    for place, row in enumerate(selection.ranked, start=1):
        said = "" if row.p_value is None else f"p = {_p(row.p_value, None)}"
        said += ", not distinguishable" if row.tied else ""
        rows.append(
            [
                "–" if row.refused else str(place),
                _escaped(row.contender.name),
                *(figures.score_percent(row.means.get(suite)) for suite in suites),
                figures.score_percent(row.value),
                _escaped("; ".join(row.refused)) if row.refused else said,
            ]
        )
    lines = ["## Best checkpoint", "", _escaped(selection.why), ""]
    lines += [] if lead is None else [_escaped(lead), ""]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def _headline(record: RunRecord) -> str:
    counts = [
        f"{_MARKS[status]} {count} {status.value}"
        for status in (Status.REGRESSED, Status.FAILED, Status.INCONCLUSIVE, Status.PASS)
        if (count := sum(verdict.status is status for verdict in record.verdicts))
    ]
    partial = " (only a part of the cases)" if record.partial else ""
    return f"{' · '.join(counts) or 'no verdict'}{partial}"


def _releases(record: RunRecord) -> list[tuple[Release, str]]:
    return list(zip(record.releases, release_lines(record), strict=True))


def _table(record: RunRecord) -> list[str]:
    headings = "|verdict|suite|checkpoint|n|score|base|Δ points|interval|p (adj.)|excludes|flips|outcomes"
    rows = [headings.split("|"), [":--"] * 4 + ["--:"] * 8 + [":--"]]
    for verdict in record.verdicts:
        rows.append(
            [
                _MARKS[verdict.status],
                f"**{verdict.status.value}**",
                _escaped(verdict.suite),
                _escaped(verdict.checkpoint),
                str(verdict.n),
                figures.score_percent(verdict.mean),
                figures.score_percent(verdict.baseline_mean),
                figures.NOTHING if verdict.delta is None else points(verdict.delta),
                figures.interval(verdict.interval),
                _p(verdict.p_value, verdict.adjusted_p),
                figures.excluded(verdict),
                figures.shape(verdict),
                figures.outcomes(verdict),
            ]
        )
    return ["| " + " | ".join(row) + " |" for row in rows]


def _flips(verdict: Verdict, found: Sequence[Flip], limit: int) -> list[str]:
    worse = sum(flip.worsened for flip in found)
    name = f"{_escaped(verdict.suite)} × {_escaped(verdict.checkpoint)}"
    title = f"{name}: {worse} worsened, {len(found) - worse} improved"
    lines = ["<details>", f"<summary>{title}</summary>", ""]
    for flip in found[:limit]:
        case = flip.candidate
        sign = "−" if flip.worsened else "+"
        change = f"{figures.score_percent(flip.baseline.score)} → {figures.score_percent(case.score)}"
        lines += [f"**{sign} {_escaped(case.case_id)}** {change}", "", *_block(case.input), ""]
        for name, result in ((verdict.baseline or "baseline", flip.baseline), (verdict.checkpoint, case)):
            lines += [f"{_escaped(name)}:", "", *_block(result.outputs[0] if result.outputs else ""), ""]
        if case.explanation and flip.worsened:
            lines += [f"Why: {_escaped(case.explanation)}", ""]
    if len(found) > limit:
        lines += [f"… and {len(found) - limit} more", ""]
    return [*lines, "</details>"]


def _block(text: str) -> list[str]:
    """Return text as a fenced block that its own backticks cannot close."""
    shown = visible_lines(text if len(text) <= _OUTPUT_LIMIT else text[:_OUTPUT_LIMIT] + "…")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *shown.split("\n"), fence]


def _escaped(text: str) -> str:
    """Return text on one line in which nothing is markup, a mention, an autolink or an HTML tag."""
    escaped = _SPECIAL.sub(lambda match: f"&#{ord(match.group())};", one_line(text))
    return _WEB.sub(r"\1&#46;", escaped)


def _p(raw: float | None, adjusted: float | None) -> str:
    return figures.p_values(raw, adjusted).replace("<", "&lt;")


def _legend(record: RunRecord) -> str:
    levels = sorted({verdict.alpha for verdict in record.verdicts})
    level = f" at {percent(1 - levels[0])}" if len(levels) == 1 else ""
    return (
        f"Scores in percent, differences in points, intervals two-sided{level}; p is one-sided for a drop, "
        "in brackets adjusted for the candidate's other suites; excludes: true drops larger than this are "
        "ruled out by the one-sided interval."
    )
