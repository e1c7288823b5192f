"""`harness golden` on cases: start sets, add, import and export cases, compare and measure sets."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from harness.case_result import Role
from harness.cases import Outcome
from harness.cli.folders import GOLDEN, STATE
from harness.errors import ConfigurationError, GoldenSetError
from harness.exit_codes import ExitCode
from harness.files.read_json import read_jsonl
from harness.golden_sets.diff import diff_cases
from harness.golden_sets.draft import Addition, add_rows, new_golden, rows_from_results
from harness.golden_sets.overlap import TextPassage, find_contamination, near_duplicates, passages_of
from harness.golden_sets.read import (
    GoldenSet,
    check_name,
    find_golden,
    golden_names,
    load_golden,
    read_golden_manifest,
    versions,
)
from harness.golden_sets.release import refuse_in_ci
from harness.interchange import export_cases, export_files, find_format, format_names, import_rows
from harness.interchange.suite_module import suite_module

__all__ = ["app"]

app = typer.Typer()

_FORMAT = typer.Option(..., "--format", "-f", metavar="FORMAT", help=f"One of {', '.join(format_names())}.")
_SUITE = typer.Option(
    None,
    "--suite",
    metavar="FILE",
    help="Also write a suite that gates the set, such as suites/test_NAME.py.",
)
_MARKER = typer.Option(
    None, "--marker", metavar="TEXT", help="gsm8k: the answer is the number behind this. [default: the last]"
)
_PLAIN_NAMES = typer.Option(
    False, "--plain-names", help="bfcl: write a.b as a_b, for APIs that refuse dots in function names."
)
_METRIC = typer.Option(None, "--metric", metavar="NAME", help="lm-eval-task: which of its metrics decides.")
_CHAT = typer.Option(
    False, "--chat-template", help="lm-eval-task: ask in a user's turn, not the prompt as it is."
)
_FORCE = typer.Option(False, "--force", help="Even where CI is set.")
_THRESHOLD = typer.Option(
    0.8, "--threshold", min=0.1, max=1.0, help="Least similarity that counts, in (0, 1]."
)
_FILE = typer.Argument(None, metavar="[FILE]", help="Rows of cases.jsonl.")
_RUN = typer.Option(None, "--from-run", metavar="RUN", help="Take the cases that failed in a run.")
_OUTPUT = typer.Option(None, "--output", "-o", metavar="FILE", help="[default: the terminal]")
_NAMES = typer.Argument(None, metavar="[NAME]…", help="[default: all of yours]")
_TRAINING = typer.Option(..., "--train", metavar="FILE", help="JSON Lines, or a folder of them; repeatable.")
_UNREAD = (".arrow", ".csv", ".gz", ".json", ".parquet", ".tsv", ".zst")
"""Suffixes of training data that is not read."""
_OUTCOMES = typer.Option(["missed"], "--outcome", metavar="OUTCOME", help="missed, invalid; repeatable.")


@app.command()
def new(
    name: str,
    roots: list[Path] = GOLDEN,
    description: str = typer.Option("", "--description", metavar="TEXT", help="What it measures."),
    licence: str | None = typer.Option(None, "--licence", metavar="SPDX", help="Of its texts."),
    author: str | None = typer.Option(None, "--by", metavar="WHO", help="Who writes it."),
    force: bool = _FORCE,
) -> None:
    """Start a golden set: a manifest, and one example case to replace."""
    refuse_in_ci("start a golden set", os.environ, force=force)
    folder = new_golden(name, root=roots[0], description=description, licence=licence, author=author)
    typer.echo(
        f"{folder}: write its cases.jsonl, then harness golden test {name}, harness golden lock {name}"
    )


@app.command()
def add(
    name: str,
    file: Path | None = _FILE,
    run: str | None = _RUN,
    outcomes: list[str] = _OUTCOMES,
    suite: str | None = typer.Option(None, "--suite", metavar="NAME", help="Only of this suite of the run."),
    limit: int | None = typer.Option(None, "--limit", min=1, metavar="N", help="At most N cases."),
    roots: list[Path] = GOLDEN,
    state: Path = STATE,
    force: bool = _FORCE,
) -> None:
    """Add cases from a file, or those that a run failed, each with the answer that failed among its rejects.

    A case of a run that the set has already gets that answer among its rejects. A locked set gets a draft
    beside its versions, to be reviewed and released as the next one.
    """
    refuse_in_ci("add to a golden set", os.environ, force=force)
    if (file is None) == (run is None):
        raise ConfigurationError("give either a FILE of cases or --from-run RUN")
    rows = (
        import_rows(file, "harness") if file is not None else _failed(str(run), outcomes, suite, roots, state)
    )
    _report(name, add_rows(name, rows[:limit], roots=roots, amend=run is not None))


@app.command("import")
def import_cases(
    name: str,
    file: Path,
    format_name: str = _FORMAT,
    suite: Path | None = _SUITE,
    marker: str | None = _MARKER,
    plain_names: bool = _PLAIN_NAMES,
    metric: str | None = _METRIC,
    chat_template: bool = _CHAT,
    roots: list[Path] = GOLDEN,
    force: bool = _FORCE,
) -> None:
    """Add the cases of a file in another tool's format, or of a benchmark's.

    A set that is not there yet is started.
    """
    refuse_in_ci("import a golden set", os.environ, force=force)
    check_name(name)
    given: dict[str, str | bool | None] = {
        "marker": marker,
        "plain_names": plain_names or None,
        "metric": metric,
        "chat_template": chat_template or None,
    }
    rows = import_rows(file, format_name, **{key: value for key, value in given.items() if value is not None})
    if suite is not None and suite.exists():
        raise ConfigurationError(
            f"--suite {suite}: is there already, and is left as it is: name another file"
        )
    form = find_format(format_name)
    sampling = form.sampling if form.sampling_of is None else form.sampling_of(file)
    if not (roots[0] / name).exists() and name not in golden_names(roots):
        about = f"Imported from {file.name} ({form.description})"
        folder = new_golden(name, root=roots[0], description=about, licence=form.licence, sampling=sampling)
        (folder / "cases.jsonl").write_text("", encoding="utf-8")
    elif form.sampling_of is not None and sampling:
        there = read_golden_manifest(find_golden(name, roots=roots)).sampling
        if there != sampling:
            raise GoldenSetError(
                f"{name} asks for {json.dumps(dict(there))} and {file} for {json.dumps(dict(sampling))}: "
                "answers of one set are drawn in one way; import it as a set of its own"
            )
    _report(name, add_rows(name, rows, roots=roots))
    if suite is not None:
        suite.parent.mkdir(parents=True, exist_ok=True)
        suite.write_text(suite_module(name, form), encoding="utf-8")
        typer.echo(f"{suite}: gates {name}")


@app.command("export")
def export(
    name: str,
    format_name: str = _FORMAT,
    output: Path | None = _OUTPUT,
    roots: list[Path] = GOLDEN,
) -> None:
    """Write a set in another tool's format."""
    golden = load_golden(name, roots=roots)
    if output is None:
        typer.echo(export_cases(golden.cases, format_name), nl=False)
        return
    files = export_files(golden.cases, format_name, output, golden.sampling)
    if taken := [file for file in files if file != output and file.exists() and not output.exists()]:
        raise ConfigurationError(f"{taken[0]}: is there already, and is left as it is: name another --output")
    output.parent.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    typer.echo(f"{', '.join(map(str, files))}: {name} as {format_name}")


@app.command()
def diff(
    name: str,
    other: str | None = typer.Argument(None, metavar="[OTHER]", help="[default: the newest version]"),
    roots: list[Path] = GOLDEN,
) -> None:
    """Show what changed between two versions: by default the newest two, or NAME/vN and the newest."""
    before, after = _pair(name, other, roots)
    found = diff_cases(before.cases, after.cases)
    typer.echo(
        f"{before.label} → {after.label}: {len(found.added)} added, {len(found.removed)} removed, "
        f"{len(found.changed)} changed"
    )
    for sign, ids in (("+", found.added), ("-", found.removed)):
        for case_id in ids:
            typer.echo(f"{sign} {case_id}")
    for change in found.changed:
        note = " (scores stay comparable)" if change.comparable else ""
        typer.echo(f"~ {change.id}: {', '.join(change.fields)}{note}")
        for field, (old, new_value) in change.fields.items():
            typer.echo(f"    {field}: {_short(old)}\n    {' ' * len(field)}→ {_short(new_value)}")


@app.command()
def stats(name: str, roots: list[Path] = GOLDEN, threshold: float = _THRESHOLD) -> None:
    """Show slices, difficulty, checks and examples of a set, and cases that are nearly the same."""
    golden = load_golden(name, roots=roots)
    clusters = {case.cluster or case.id for case in golden}
    typer.echo(
        f"{golden.label}: {len(golden)} cases in {len(clusters)} clusters, "
        f"{sum(case.must_pass for case in golden)} must pass, "
        f"{sum(bool(case.accepts and case.rejects) for case in golden)} with both accepts and rejects"
    )
    table = Table("slice", "cases", "share", box=None)
    for tag, count in sorted(Counter(tag for case in golden for tag in case.tags).items()):
        table.add_row(tag, str(count), f"{count / len(golden):.0%}")
    for kind, count in sorted(Counter(f"check:{c['type']}" for case in golden for c in case.checks).items()):
        table.add_row(kind, str(count), f"{count / len(golden):.0%}")
    Console(highlight=False, markup=False).print(table)
    for pair in near_duplicates(golden.cases, threshold):
        typer.echo(f"nearly the same: {pair.first} and {pair.second} ({pair.similarity:.2f})")


@app.command()
def contamination(
    names: list[str] | None = _NAMES,
    training: list[Path] = _TRAINING,
    roots: list[Path] = GOLDEN,
    threshold: float = _THRESHOLD,
    targets: bool = typer.Option(False, "--targets", help="Look for reference answers, too."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object a line."),
) -> None:
    """Look for golden cases among training texts; found ones are an error (exit code 1)."""
    sets = [load_golden(name, roots=roots) for name in names or _own(roots)]
    if not sets:
        raise ConfigurationError("no golden set found: name one, or give its folder with --golden")
    worst = 0
    for golden in sets:
        found = find_contamination(golden.cases, _passages(training), threshold, targets=targets)
        worst += len(found)
        for overlap in found:
            fields = {"golden": golden.label, **vars(overlap)}
            typer.echo(
                json.dumps(fields)
                if as_json
                else f"{golden.label} {overlap.case_id}: its {overlap.part} is in {overlap.where} "
                f"({overlap.kind}, {overlap.similarity:.2f})"
            )
        if not as_json:
            cases = len({overlap.case_id for overlap in found})
            typer.echo(f"{golden.label}: {cases} of {len(golden)} cases are in the training texts")
    if worst:
        raise typer.Exit(ExitCode.REGRESSED)


def _failed(
    run: str, outcomes: list[str], suite: str | None, roots: list[Path], state: Path
) -> list[dict[str, object]]:
    """Return rows of the cases that a stored run's candidates failed."""
    from harness.runs.store import RunStore

    allowed = (str(Outcome.MISSED), str(Outcome.INVALID))
    if unknown := [outcome for outcome in outcomes if outcome not in allowed]:
        raise ConfigurationError(
            f"--outcome {unknown[0]}: expected missed or invalid (an error says nothing)"
        )
    store = RunStore(state)
    record = store.read(store.find(run))
    results = [
        result
        for result in record.cases
        if result.role is Role.CANDIDATE
        and str(result.outcome) in outcomes
        and (suite is None or result.suite == suite)
    ]
    if not results:
        raise ConfigurationError(f"run {run} has no case that was {' or '.join(outcomes)}")
    rows: list[dict[str, object]] = []
    for label in dict.fromkeys(result.golden for result in results):
        cases = {case.id: case for case in load_golden(label, roots=roots)}
        rows += rows_from_results([r for r in results if r.golden == label], cases, run=record.run)
    return rows


def _report(name: str, done: Addition) -> None:
    amended = f"{len(done.amended)} amended by the answer that failed, " if done.amended else ""
    changed = bool(done.added or done.amended)
    where = done.path if changed else name
    typer.echo(f"{where}: {len(done.added)} added, {amended}{len(done.known)} were there already")
    if done.draft and changed:
        typer.echo(f"  review it, then: harness golden release {name} --from {done.path}")


def _pair(name: str, other: str | None, roots: list[Path]) -> tuple[GoldenSet, GoldenSet]:
    base, _, pinned = name.partition("/")
    known = versions(find_golden(base, roots=roots).parent)
    if other is None and not pinned and len(known) < 2:
        raise GoldenSetError(f"{base} has one version: there is nothing to compare it with")
    before = name if pinned else f"{base}/v{known[-2]}"
    return load_golden(before, roots=roots), load_golden(other or f"{base}/v{known[-1]}", roots=roots)


def _own(roots: list[Path]) -> list[str]:
    """Return the names of the sets under the given roots, without the shipped ones."""
    return [name for name in golden_names(roots) if any((root / name).is_dir() for root in roots)]


def _passages(sources: list[Path]) -> Iterator[TextPassage]:
    """Yield every training text; a source that cannot be read in whole is an error, not a clean one."""
    for source in sources:
        files = sorted(source.rglob("*.jsonl")) if source.is_dir() else [source]
        if not files:
            raise ConfigurationError(f"--train {source}: holds no .jsonl file")
        if unread := sorted(file for file in source.rglob("*") if file.suffix.lower() in _UNREAD):
            raise ConfigurationError(
                f"--train {source}: {unread[0]} is no JSON Lines and would not be compared: "
                "convert it, or name the files to read"
            )
        for file in files:
            empty = True
            for line, row in read_jsonl(file):
                for passage in passages_of(row, f"{file}:{line}"):
                    empty = False
                    yield passage
            if empty:
                raise GoldenSetError("holds no text to compare with", path=file)


def _short(value: object, limit: int = 100) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"
