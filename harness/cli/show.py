"""`harness show`: a stored run on the terminal, and each of its cases in full."""

from __future__ import annotations

from pathlib import Path

import typer

from harness.case_result import CaseResult, Role
from harness.cases import Outcome
from harness.cli.folders import STATE
from harness.cli.written import write_page
from harness.errors import UsageError
from harness.registry import did_you_mean
from harness.runs.record import RunRecord
from harness.runs.store import RunStore

__all__ = ["show", "show_run"]

_RUN = typer.Argument(metavar="RUN", help="Id of the run, its beginning, or run:NAME for a baseline.")
_CASE = typer.Argument(None, metavar="[CASE]", help="Id of a case: shows it in full.")
_SUITE = typer.Option(None, "--suite", metavar="NAME", help="Only cases of this suite.")
_OUTCOME = typer.Option(None, "--outcome", metavar="OUTCOME", help="passed, missed, invalid or error.")
_FLIP = typer.Option(None, "--flip", metavar="WAY", help="worsened or improved: only cases that did.")
_TAG = typer.Option(None, "--tag", metavar="TAG", help="Only cases with this tag.")
_LIMIT = typer.Option(30, "--limit", min=0, metavar="N", help="Most cases to list; 0 lists all.")
_CSV = typer.Option(None, "--csv", metavar="PATH|-", help="Write its cases as CSV; - prints them.")
_JSON = typer.Option(None, "--json", metavar="PATH|-", help="Write the whole record as JSON; - prints it.")
_LINE = 140


def show(
    run: str = _RUN,
    case: str | None = _CASE,
    suite: str | None = _SUITE,
    outcome: str | None = _OUTCOME,
    flip: str | None = _FLIP,
    tag: str | None = _TAG,
    limit: int = _LIMIT,
    csv: str | None = _CSV,
    json: str | None = _JSON,
    state: Path = STATE,
) -> None:
    """Show a stored run and its cases, the worsened ones first; with CASE, that case in full."""
    record = read_run(run, RunStore(state))
    if csv is not None or json is not None:
        if csv == "-" and json == "-":
            raise UsageError("--csv - and --json - would print into each other: write one to a file")
        if csv is not None:
            from harness.report.csv_table import render_csv

            write_page(csv, render_csv(record))
        if json is not None:
            write_page(json, record.to_json() + "\n")
        return
    baselines = {result.pair_key: result for result in record.cases if result.role is Role.BASELINE}
    chosen = [
        result
        for result in record.cases
        if result.role is Role.CANDIDATE
        and (case is None or result.case_id == case)
        and (suite is None or result.suite == suite)
        and (outcome is None or result.outcome is _outcome(outcome))
        and (tag is None or tag in result.tags)
        and (flip is None or _way(result, baselines.get(result.pair_key)) == _flip(flip))
    ]
    if case is not None:
        _show_case(record, case, chosen, baselines)
        return
    if suite is None and outcome is None and tag is None and flip is None:
        show_run(record)
        chosen = [
            result
            for result in chosen
            if result.outcome is not Outcome.PASSED or _way(result, baselines.get(result.pair_key)) != "same"
        ]
    _list_cases(chosen, baselines, limit)
    typer.echo(f"\nread one in full: harness show {record.run} CASE")


def read_run(run: str, store: RunStore) -> RunRecord:
    """Return a stored run by its id, the beginning of it, or the name of the baseline that it is.

    Raises:
        UsageError: There is none, or more than one fits.
    """
    kind, colon, name = run.partition(":")
    if colon and kind == "run":
        return store.baseline(name).record
    return store.read(run)


def show_run(record: RunRecord) -> None:
    """Print what a run was, its verdicts, and why."""
    from rich.console import Console

    from harness.report.plain_text import one_line
    from harness.report.table import verdict_table
    from harness.report.terminal import reason_lines, release_lines
    from harness.report.unscored import unscored_lines

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_LINE)
    state = "" if record.complete else ", did not finish"
    state += ", a part of the cases" if record.partial else ""
    typer.echo(f"run {record.run}, {record.created}{state}: exit code {record.exit_code}")
    for entry in record.checkpoints:
        typer.echo(f"  {entry.role}: {one_line(entry.spec)} ({entry.fingerprint[:12]})")
    console.print(verdict_table(record, width=console.width))
    for line in (
        *reason_lines(record),
        *release_lines(record),
        *unscored_lines(record, width=min(console.width, _LINE)),
    ):
        typer.echo(line)
    typer.echo()


def _show_case(
    record: RunRecord,
    case: str,
    chosen: list[CaseResult],
    baselines: dict[tuple[str, str, str, str], CaseResult],
) -> None:
    from harness.report.case_text import case_lines

    if not chosen:
        ids = sorted({result.case_id for result in record.cases})
        raise UsageError(
            f"run {record.run} has no case {case!r}{did_you_mean(case, ids)}, or not under these filters"
        )
    for number, result in enumerate(chosen):
        if number:
            typer.echo()
        for line in case_lines(record, result, baselines.get(result.pair_key)):
            typer.echo(line)


def _list_cases(
    chosen: list[CaseResult], baselines: dict[tuple[str, str, str, str], CaseResult], limit: int
) -> None:
    from harness.report import figures
    from harness.report.plain_text import first_line, one_line, shorten

    signs = {"worsened": "−", "improved": "+", "same": " "}
    ways = [(_way(result, baselines.get(result.pair_key)), result) for result in chosen]
    ways.sort(key=lambda pair: list(signs).index(pair[0]))  # stable: the record's order within a way
    for way, result in ways[: limit or None]:
        other = baselines.get(result.pair_key)
        score = figures.score_percent(result.score)
        change = score if other is None else f"{figures.score_percent(other.score)} → {score}"
        typer.echo(
            f"{signs[way]} {shorten(result.case_id, 60)}  {result.outcome.value} {change}  "
            f"{one_line(result.suite)} × {one_line(result.checkpoint)}  {first_line(result.input, 60)}"
        )
    if limit and len(ways) > limit:
        typer.echo(f"… and {len(ways) - limit} more: --limit 0, --suite, --outcome, --flip, --tag")
    if not ways:
        typer.echo("no such case")


def _way(result: CaseResult, other: CaseResult | None) -> str:
    from harness.stats.paired import SAME

    if other is None or result.score is None or other.score is None:
        return "same"
    difference = result.score - other.score
    return "same" if abs(difference) <= SAME else "worsened" if difference < 0 else "improved"


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError:
        known = ", ".join(outcome.value for outcome in Outcome)
        raise UsageError(f"--outcome {text}: expected one of {known}") from None


def _flip(text: str) -> str:
    if text not in ("worsened", "improved"):
        raise UsageError(f"--flip {text}: expected worsened or improved")
    return text
