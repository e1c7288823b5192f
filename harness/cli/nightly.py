"""`harness nightly PLAN`: tonight's checkpoints against the baseline; who wants to know hears what moved."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import typer

from harness.cli.evaluate_checkpoints import evaluate_checkpoints
from harness.cli.written import write_page
from harness.errors import ConfigurationError, HarnessError
from harness.exit_codes import ExitCode
from harness.nightly.announcement import chat_text, comment_text
from harness.nightly.checkpoints import tonights_checkpoints
from harness.nightly.history import Move, Night, append_night, last_told_night, moves, night_of
from harness.nightly.plan import NightlyPlan, load_nightly_plan
from harness.nightly.pull_request import PullRequest, pull_request_of, put_comment
from harness.nightly.sending import send_json
from harness.project import find_root
from harness.report.plain_text import harmless_lines, one_line
from harness.runs.record import RunRecord

__all__ = ["nightly"]

_PLAN = typer.Argument(Path("nightly.yaml"), metavar="[PLAN]", help="What is compared, in YAML.")


def nightly(plan_file: Path = _PLAN) -> None:
    """Compare tonight's checkpoints with the baseline, keep a line of it, and tell of verdicts that moved.

    The webhook and the pull request hear nothing of a night in which every verdict is that of the last night
    they were told of; where one of them could not be reached, both hear of it again. The exit code is that of
    the verdicts: 0, 1 or 10; 3 where somebody who had to be told could not be, and all else passed.
    """
    plan = load_nightly_plan(plan_file)
    root = find_root(plan_file.resolve().parent)
    if not root.samefile(Path.cwd()):
        os.chdir(root)  # pytest and every path of the plan start there
    webhook, pull_request = _addresses(plan)
    history = root / plan.history
    before = last_told_night(history)  # a history that cannot be read is said before hours of work
    names = tonights_checkpoints(plan.checkpoints, root)
    record = evaluate_checkpoints(
        list(names), baseline=plan.baseline, arguments=[*plan.options, *plan.suites]
    )
    night = night_of(record, names)
    moved = moves(before, night)
    _write_pages(plan, root, record)
    faults = _tell(night, moved, record, webhook, pull_request) if moved else []
    append_night(history, dataclasses.replace(night, told=not faults))
    _print(night, moved)
    for fault in faults:
        typer.echo(f"harness: {harmless_lines(fault)}; it is tried again tomorrow", err=True)
    code = record.exit_code
    raise typer.Exit(int(ExitCode.INTERNAL_ERROR) if faults and code == ExitCode.PASS else code)


def _addresses(plan: NightlyPlan) -> tuple[str | None, PullRequest | None]:
    """Return where to tell, before anything has run.

    Raises:
        ConfigurationError: The plan names what is not set.
    """
    webhook = None
    if plan.webhook is not None:
        webhook = os.environ.get(plan.webhook)
        if not webhook:
            raise ConfigurationError(f"webhook: the environment variable {plan.webhook} is not set")
    return webhook, pull_request_of(os.environ) if plan.pull_request else None


def _write_pages(plan: NightlyPlan, root: Path, record: RunRecord) -> None:
    from harness.report.html import render_page
    from harness.report.markdown import render_markdown

    write_page(str(root / plan.page), render_page(record))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(render_markdown(record))


def _tell(
    night: Night,
    moved: Sequence[Move],
    record: RunRecord,
    webhook: str | None,
    pull_request: PullRequest | None,
) -> list[str]:
    """Tell everybody who wants to know, and return what went wrong: one that is down silences no other."""
    faults = []
    if webhook is not None:
        try:
            send_json("POST", webhook, {"text": chat_text(night, moved, record)}, called="webhook")
            typer.echo("webhook: told")
        except HarnessError as problem:
            faults.append(str(problem))
    if pull_request is not None:
        try:
            typer.echo(
                f"pull request {pull_request.number}: {put_comment(pull_request, comment_text(record))}"
            )
        except HarnessError as problem:
            faults.append(str(problem))
    return faults


def _print(night: Night, moved: Sequence[Move]) -> None:
    requests = night.requests
    if requests:
        typer.echo(
            f"answers: {requests.get('wanted', 0)} wanted, {requests.get('reused', 0)} from the cache, "
            f"{requests.get('generated', 0)} generated"
        )
    for verdict in night.verdicts:
        typer.echo(
            f"{verdict['status']:<12} {one_line(verdict['suite'])} × {one_line(verdict['checkpoint'])}"
        )
    for move in moved:
        whose = f"{one_line(move.suite)} × {one_line(move.name)}"
        typer.echo(f"moved: {whose}: {move.before or 'new'} → {move.now or 'gone'}")
    if not moved:
        typer.echo("no verdict moved")
    typer.echo(f"run {night.run}: exit code {night.exit_code}")
