"""A run as one self-contained HTML page: one script of its own, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from harness.errors import MissingDependencyError
from harness.files.write_json import encodable
from harness.gate.diagnostics import describe_diagnostic
from harness.gate.verdict import Status, Verdict, percent, points
from harness.report import figures
from harness.report.classes import sides, with_interval
from harness.report.flips import flips
from harness.report.measures import measures
from harness.report.page_data import page_data
from harness.report.plain_text import one_line, visible_lines
from harness.report.plot import DARK, LIGHT, NARROW, WIDE, delta_plot
from harness.report.unscored import unscored
from harness.runs.record import RunRecord

__all__ = ["render_page"]

_FLIPS = 3
_REASONS = 8
_FEWEST_OF_A_SLICE = 5
_OUTPUT_LIMIT = 6_000
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; "
    "form-action 'none'"
)
_MARKS = {Status.PASS: "●", Status.REGRESSED: "▼", Status.FAILED: "✕", Status.INCONCLUSIVE: "◆"}
"""Shapes beside the colours, for readers who do not tell these apart."""


def render_page(record: RunRecord, *, limit: int = _FLIPS) -> str:
    """Return the page: decision, verdicts, differences, evidence, slices, and every case to be searched.

    Every text that a model or a user wrote is escaped, or reaches the page's script as data that it shows as
    text. The content security policy allows that one script, by its digest, and no address but the page's
    own data. Light and dark follow the reader's system.

    Args:
        record: A session or a comparison.
        limit: Most flips per verdict that stand beside its evidence; all of them are among the cases.
    """
    from importlib.resources import files

    import jinja2

    here = files("harness.report")
    style = here.joinpath("page.css").read_text(encoding="utf-8")
    script = here.joinpath("page.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "line": lambda value: one_line(str(value)),
        "lines": _shown,
        "score": figures.score_percent,
        "points": lambda value: figures.NOTHING if value is None else points(value),
        "interval": figures.interval,
        "p": figures.p_values,
        "drop": figures.drop,
        "percent": percent,
        "rate": with_interval,
    }
    template = environment.from_string(here.joinpath("page.html.j2").read_text(encoding="utf-8"))
    plots, no_plot = _plots(record)
    sections = [_section(record, index, verdict, limit) for index, verdict in enumerate(record.verdicts)]
    telling = sorted(
        (one for one in record.slices if one.n >= _FEWEST_OF_A_SLICE and one.improved + one.worsened),
        key=lambda one: (one.adjusted_p, one.suite, one.checkpoint, one.tag),
    )
    return template.render(
        record=record,
        style=style,
        script=script,
        policy=_POLICY.format(_digest(style), _digest(script)),
        counts=[(s.value, sum(v.status is s for v in record.verdicts)) for s in _ORDER],
        worst=_worst(record),
        rows=sections,
        sections=sorted(sections, key=lambda section: _ORDER.index(section["verdict"].status)),
        levels=", ".join(percent(1 - alpha) for alpha in sorted({v.alpha for v in record.verdicts})),
        leads=_leads(record),
        marks={status.value: mark for status, mark in _MARKS.items()},
        matrix=_matrix(sections),
        slices=telling,
        few_slices=len(record.slices) - len(telling),
        measures=measures(record),
        cases=page_data(record) if record.cases else "",
        policies=_policies(record),
        classes=list(sides(record)),
        diagnostics=[
            (one, describe_diagnostic(one))
            for one in sorted(record.diagnostics, key=lambda one: not one.warns)
        ],
        plots=plots,
        no_plot=no_plot,
        environment=_flat(record.environment.as_dict()),
        checkpoints=[encodable(entry.as_dict()) for entry in record.checkpoints],
        excluded=figures.excluded,
        outcomes=figures.outcomes,
        shape=figures.shape,
    )


_ORDER = (Status.REGRESSED, Status.FAILED, Status.INCONCLUSIVE, Status.PASS)


def _worst(record: RunRecord) -> str:
    held = {release.status for release in record.releases} or {v.status for v in record.verdicts}
    return next((status.value for status in _ORDER if status in held), "NOTHING")


def _leads(record: RunRecord) -> list[tuple[str, str]]:
    """Return the decision on each candidate with its first reason: what a reader must know in a minute."""
    leads = [
        (release.status, f"{release.checkpoint}: {next(iter(release.reasons), 'no reason given')}")
        for release in record.releases
    ] or [
        (verdict.status, f"{verdict.suite} × {verdict.checkpoint}: {next(iter(verdict.reasons), '')}")
        for verdict in record.verdicts
        if verdict.status is not Status.PASS
    ]
    return [(status.value, text) for status, text in sorted(leads, key=lambda pair: _ORDER.index(pair[0]))]


def _matrix(sections: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return suites × checkpoints, each cell a section or None."""
    checkpoints = list(dict.fromkeys(section["verdict"].checkpoint for section in sections))
    cells = {(section["verdict"].suite, section["verdict"].checkpoint): section for section in sections}
    suites = list(dict.fromkeys(section["verdict"].suite for section in sections))
    rows = [(suite, [cells.get((suite, checkpoint)) for checkpoint in checkpoints]) for suite in suites]
    return {"checkpoints": checkpoints, "suites": rows}


def _policies(record: RunRecord) -> list[tuple[str, str]]:
    """Return each suite's policy with the values of its gate, and where those that were set come from."""
    sources = getattr(record.environment, "gates", {})
    rows: dict[str, str] = {}
    for verdict in record.verdicts:
        origin = sources.get(verdict.suite, {})
        fields = [
            f"{name} = {value}" + (f" ({origin[name]})" if origin.get(name, "default") != "default" else "")
            for name, value in verdict.gate.as_dict().items()
            if value not in (None, (), [], {}, "")
        ]
        rows[verdict.suite] = ", ".join(fields)
    return list(rows.items())


def _section(record: RunRecord, index: int, verdict: Verdict, limit: int) -> Mapping[str, Any]:
    found = flips(record, verdict)
    sides = {verdict.checkpoint, verdict.baseline}
    groups = [one for one in unscored(record) if one.suite == verdict.suite and one.checkpoint in sides]
    return {
        "unscored": groups[:_REASONS],
        "anchor": f"verdict-{index + 1}",
        "verdict": verdict,
        "flips": found[:limit],
        "more": max(len(found) - limit, 0),
        "worsened": sum(flip.worsened for flip in found),
        "improved": sum(not flip.worsened for flip in found),
        "facts": _facts(verdict),
    }


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    facts = [
        ("policy", f"{verdict.policy}, margin {percent(verdict.margin)}, alpha {percent(verdict.alpha)}")
    ]
    facts.append(("golden set", one_line(verdict.golden)))
    compared, floor, noise = verdict.comparison, verdict.floor, verdict.noise
    if compared is not None:
        groups = "" if compared.groups == compared.n else f" in {compared.groups} clusters"
        facts.append(("pairs", f"{compared.n} of {verdict.planned} cases{groups}"))
        facts.append(("method", compared.method))
        low, high = (points(bound) for bound in compared.bounds)
        facts.append(("one-sided bounds", f"{low} and {high} points"))
        if compared.standard_error is not None:
            facts.append(("standard error", f"{100 * compared.standard_error:.2f} points"))
        facts.append(("smallest drop it detects", f"{figures.drop(verdict.minimum_detectable_drop)} points"))
        facts.append(("rules out a drop of", f"{percent(round(verdict.rules_out or 0.0, 4))} to pass"))
        if compared.adjusted_delta is not None and compared.variance_reduction is not None:
            less = percent(round(compared.variance_reduction, 2))
            suite_wide = f"{points(compared.adjusted_delta)} points, {less} less variance"
            facts.append(("over the whole suite", suite_wide))
    if noise.share_within is not None and noise.epochs_worth is not None:
        share = f"{percent(round(noise.share_within, 2))} of the variance ({noise.samples} samples per case)"
        worth = f"twice as many are worth {noise.epochs_worth:.2g} times the cases"
        facts.append(("drawing answers makes", f"{share}; {worth}"))
    if floor is not None and verdict.gate.min_score is not None:
        low, high = (percent(round(bound, 4)) for bound in floor.interval)
        facts.append(("floor", f"{percent(verdict.gate.min_score)}; the mean lies between {low} and {high}"))
    if verdict.cases_needed is not None:
        facts.append(("cases that would settle it", f"about {verdict.cases_needed:,}"))
    return facts


def _plots(record: RunRecord) -> tuple[dict[str, str], str]:
    """Return the plot as data URLs for light and dark, or why there is none."""
    try:
        drawn = {
            f"{name}{suffix}": delta_plot(record.verdicts, palette, shape)
            for name, palette in (("light", LIGHT), ("dark", DARK))
            for suffix, shape in (("", WIDE), ("_narrow", NARROW))
        }
    except MissingDependencyError as problem:
        return {}, f"No plot: {problem}"
    urls = {
        name: "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")
        for name, svg in drawn.items()
        if svg is not None
    }
    return urls, "" if urls else "No plot: nothing was compared."


def _flat(environment: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in environment.items():
        if key == "gates" and not prefix:
            continue  # the policies in force say them with their values
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)):
            rows.append((name, " ".join(str(one) for one in value)))
        elif value is not None:
            rows.append((name, str(value)))
    return rows


def _shown(text: str | None) -> str:
    if not text:
        return ""
    if len(text) > _OUTPUT_LIMIT:
        cut = len(text) - _OUTPUT_LIMIT
        return visible_lines(text[:_OUTPUT_LIMIT]) + f"\n… and {cut:,} more characters"
    return visible_lines(text)


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
