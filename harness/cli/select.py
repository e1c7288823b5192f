"""`harness select`: the best checkpoint of stored runs, by declared objectives."""

from __future__ import annotations

import dataclasses
import json as json_format
from pathlib import Path
from typing import Any

import typer

from harness.checkpoints.manifest import read_manifest
from harness.checkpoints.spec import locate, parse_spec
from harness.cli.folders import STATE
from harness.cli.written import write_page
from harness.clock import utc_now
from harness.engine.engine import Engine
from harness.errors import CheckpointError, StoreError, UsageError
from harness.exit_codes import ExitCode
from harness.files.durable import replace_synced
from harness.files.state_folder import make_state_folder
from harness.gate.policy_file import GateFile, load_gate_file
from harness.project import relative_to_root
from harness.protocols import BackendOptions
from harness.registry import BACKENDS, names
from harness.runs.best_link import point_to, training_run_of
from harness.runs.chosen_lead import chosen_lead
from harness.runs.record import RunRecord, candidate_of, new_run_id
from harness.runs.selection import Contender, Selection, contenders
from harness.runs.selection import select_best as choose
from harness.runs.store import RunStore

__all__ = ["select"]

_RUNS = typer.Argument(
    None,
    metavar="[RUN…]",
    help="Ids of runs or their beginnings; #CHECKPOINT picks one. By default the newest.",
)
_OBJECTIVE = typer.Option(
    None, "--objective", metavar="SUITE[=WEIGHT]", help="A suite that counts; repeatable."
)
_REQUIRE = typer.Option(None, "--require", metavar="SUITE", help="A suite that must say PASS; repeatable.")
_ORDER = typer.Option(
    None, "--order", metavar="weighted|lexicographic", help="How several suites are weighed."
)
_JSON = typer.Option(False, "--json", help="Print JSON.")
_MARKDOWN = typer.Option(None, "--markdown", metavar="PATH|-", help="Write a Markdown page; - prints it.")


def select(
    runs: list[str] | None = _RUNS,
    objective: list[str] | None = _OBJECTIVE,
    require: list[str] | None = _REQUIRE,
    order: str | None = _ORDER,
    json: bool = _JSON,
    markdown: str | None = _MARKDOWN,
    state: Path = STATE,
) -> None:
    """Choose the best checkpoint of stored runs and point `runs/<name>/best` to it.

    Only checkpoints whose every gate says PASS, under the policy that the project's file now gives, are
    eligible; among them the objectives decide, which `select:` in gates.yaml (or [tool.harness.select])
    declares, or the options. Exit code 10 where nothing is eligible: then the old choice stands.
    """
    from harness.project import find_root
    from harness.report.markdown import render_selection
    from harness.runs.selection_rule import overridden, read_rule

    if json and markdown == "-":
        raise UsageError("--json and --markdown would print into each other: write the page to a file")
    root = find_root(Path.cwd())
    gates = load_gate_file(root)
    rule = overridden(read_rule(gates), objectives=objective or (), require=require or (), order=order)
    found = [_under(gates, one) for one in _contenders(runs or [], RunStore(state))]
    chosen = choose(found, rule)
    best = chosen.best
    folders = {one.spec: _folder(one, root) for one in found}
    losses = {spec: _validation_loss(folder) for spec, folder in folders.items()}
    about: dict[str, Any] = {"schema_version": 1, "created": utc_now(), **chosen.as_dict()}
    for row in about["ranked"]:
        row["validation_loss"] = losses[row["checkpoint"]]
    lead = chosen_lead(chosen, found)
    about["lead"] = None if lead is None else lead.as_dict()
    pointer = None if best is None else _point(best, folders[best.spec], root, state, about)
    about["pointer"] = None if pointer is None else relative_to_root(pointer, root)
    kept = _keep(about, state)
    if markdown is not None:
        write_page(markdown, render_selection(chosen, None if lead is None else lead.about))
    if json:
        typer.echo(json_format.dumps(about, indent=1))
    elif markdown != "-":
        _print(chosen, losses)
        typer.echo(f"\n{chosen.why}")
        if lead is not None:
            typer.echo(lead.about)
        if pointer is not None:
            typer.echo(f"{about['pointer']} → {pointer.readlink()}; why: {kept}")
        elif best is None:
            typer.echo(f"best is unchanged; why: {kept}")
    raise typer.Exit(int(ExitCode.INCONCLUSIVE if best is None else ExitCode.PASS))


def _under(gates: GateFile, one: Contender) -> Contender:
    """Refuse what was gated by another policy than the project's file now gives."""
    changes = [
        gates.change(suite, verdict.gate, one.sources.get(suite) or {})
        for suite, verdict in one.verdicts.items()
    ]
    outdated = [f"{change}: gate it again" for change in changes if change is not None]
    return dataclasses.replace(one, problems=(*one.problems, *outdated))


def _contenders(runs: list[str], store: RunStore) -> tuple[Contender, ...]:
    records: list[RunRecord] = []
    for run in runs or store.ids()[-1:]:
        identity, _, checkpoint = run.partition("#")
        record = store.read(identity)
        if checkpoint:
            spec = candidate_of(record, checkpoint)
            others = [entry for entry in record.candidates if entry.spec != spec]
            left = tuple(one for one in record.checkpoints if one not in others)
            record = dataclasses.replace(record, checkpoints=left)
        records.append(record)
    if not records:
        raise UsageError(f"no run in {store.path / 'runs'}: gate checkpoints with pytest --model=A,B first")
    return contenders(records)


def _folder(one: Contender, root: Path) -> Path | None:
    """Return the directory of a local checkpoint; None for recorded outputs and served models."""
    spec = parse_spec(one.spec, names(BACKENDS))
    if spec.backend not in (None, "hf"):
        return None
    try:
        return locate(spec.name, root)
    except CheckpointError:
        return None


def _validation_loss(folder: Path | None) -> float | None:
    try:
        manifest = None if folder is None else read_manifest(folder)
    except CheckpointError:
        return None
    return None if manifest is None else manifest.progress.validation_loss


def _point(best: Contender, folder: Path | None, root: Path, state: Path, why: dict[str, Any]) -> Path | None:
    """Point `best` to the choice, if it is still what was gated.

    Raises:
        CheckpointError: The files are no longer those of the run.
    """
    if folder is None or training_run_of(folder, root) is None:
        return None
    engine = Engine(BackendOptions(root=root, state=state))
    try:
        (now,) = engine.resolve([best.spec])
    finally:
        engine.close()
    if now.fingerprint != best.fingerprint:
        raise CheckpointError(
            f"{best.spec}: its files are no longer those that run {best.runs[-1]} gated: gate it again; "
            "best is unchanged"
        )
    return point_to(folder, why)


def _keep(about: dict[str, Any], state: Path) -> Path:
    path = state / "selections" / f"{new_run_id(about['created'])}.json"
    try:
        make_state_folder(state)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_synced(path, (json_format.dumps(about, indent=1) + "\n").encode("ascii"))
    except OSError as problem:
        raise StoreError(f"{path}: cannot be written: {problem.strerror or problem}") from None
    return path


def _print(chosen: Selection, losses: dict[str, float | None]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.report import figures
    from harness.report.plain_text import one_line, shorten

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    suites = [objective.suite for objective in chosen.rule.objectives]
    for heading in ("", "checkpoint", *map(one_line, suites), "score", "val loss", "against the choice"):
        table.add_column(heading, overflow="fold")
    for place, row in enumerate(chosen.ranked, start=1):
        loss = losses[row.contender.spec]
        said = "" if place == 1 else f"p = {figures.p_value(row.p_value)}"
        if row.tied:
            said += ", not distinguishable"
        if row.refused:
            said = "; ".join(shorten(reason, 160) for reason in row.refused)
        cells = [
            "–" if row.refused else str(place),
            one_line(row.contender.name),
            *(figures.score_percent(row.means.get(suite)) for suite in suites),
            figures.score_percent(row.value),
            figures.NOTHING if loss is None else f"{loss:.4f}",
            said,
        ]
        table.add_row(*map(Text, cells), style="dim" if row.refused else "")
    console.print(table)
