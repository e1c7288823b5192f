"""`harness golden`: lock, verify, release and test golden sets, and look at them."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import typer

from harness.cli.folders import GOLDEN
from harness.cli.golden_attack import attack_faults, attack_lines, fallen_lines
from harness.errors import GoldenSetError, HarnessError
from harness.exit_codes import ExitCode, most_severe
from harness.golden_sets.attack import attack_cases
from harness.golden_sets.read import GoldenSet, find_golden, golden_names, load_golden, versions
from harness.golden_sets.release import lock_golden, refuse_in_ci, release_golden
from harness.sandbox import code_allowed
from harness.scoring.selftest import case_faults

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_NAMES = typer.Argument(None, metavar="[NAME]…", help="Sets, such as refunds or refunds/v1.  [default: all]")
_AUTHOR = typer.Option(None, "--by", metavar="WHO", help="Who wrote it, for the manifest.")
_SOURCE = typer.Option(None, "--from", metavar="FILE", help="The edited cases.jsonl.")
_NOTE = typer.Option(None, "--note", metavar="TEXT", help="Why, for the manifest.")
_RUN_CODE = typer.Option(False, "--allow-code-execution", help="Run code examples in a sandbox.")
_ATTACK = typer.Option(True, "--attack/--no-attack", help="Also try wrong answers made for the purpose.")
_FALLEN = typer.Option(False, "--fallen", help="List every wrong answer that passes.")
_FORCE = typer.Option(False, "--force", help="Even where CI is set.")


@app.command()
def lock(name: str, roots: list[Path] = GOLDEN, author: str | None = _AUTHOR, force: bool = _FORCE) -> None:
    """Lock a version: from now on an edit of its cases is an error."""
    refuse_in_ci("lock a golden set", os.environ, force=force)
    golden = lock_golden(name, roots=roots, author=author)
    typer.echo(f"{golden.label} is locked: {len(golden)} cases, sha256 {golden.digest[:12]}…")


@app.command()
def verify(names: list[str] | None = _NAMES, roots: list[Path] = GOLDEN) -> None:
    """Read every case of every version, and hold locked ones to their digest."""
    codes = []
    for label in _labels(names, roots):
        golden = _loaded(label, roots)
        if golden is None:
            codes.append(ExitCode.USAGE)
        else:
            codes.append(ExitCode.PASS)
            state = "locked" if golden.locked else f"not locked (harness golden lock {golden.name})"
            typer.echo(f"{golden.label}: {len(golden)} cases, {state}")
    _finish(codes)


@app.command()
def release(
    name: str,
    roots: list[Path] = GOLDEN,
    source: Path | None = _SOURCE,
    note: str | None = _NOTE,
    author: str | None = _AUTHOR,
    force: bool = _FORCE,
) -> None:
    """Release an edited set as its next version, locked; the version before it stays as it was."""
    refuse_in_ci("release a golden set", os.environ, force=force)
    done = release_golden(name, roots=roots, source=source, note=note, author=author)
    typer.echo(f"{done.golden.label} is released and locked: {len(done.golden)} cases")
    if done.added is not None and done.removed is not None and done.changed is not None:
        typer.echo(
            f"  since {done.previous}: {len(done.added)} added, {len(done.changed)} changed, "
            f"{len(done.removed)} removed"
        )
    if not done.restored:
        folder = done.golden.path.with_name(f"v{done.golden.version - 1}")
        typer.echo(
            f"  {done.previous} still holds the edit and cannot be pinned: "
            f"restore {folder / 'cases.jsonl'} from your version control or backup"
        )


@app.command("test")
def self_test(
    names: list[str] | None = _NAMES,
    roots: list[Path] = GOLDEN,
    run_code: bool = _RUN_CODE,
    attack: bool = _ATTACK,
    every_fallen: bool = _FALLEN,
) -> None:
    """Score each case's accepts and rejects with its own checks, then attack the set.

    The attack gives every case answers that know nothing of it, and contradictions of its accepted answers.
    It fails the set where more of them pass than its manifest allows (`attack`); without a limit it reports.
    """
    codes = []
    for label in _labels(names, roots, newest=True):
        golden = _loaded(label, roots)
        if golden is None:
            codes.append(ExitCode.USAGE)
            continue
        if not run_code and any(check["type"] == "python_tests" for case in golden for check in case.checks):
            typer.echo(
                f"{golden.label}: not tested, its checks run code: give --allow-code-execution", err=True
            )
            codes.append(ExitCode.USAGE)
            continue
        with code_allowed() if run_code else contextlib.nullcontext(), ThreadPoolExecutor() as workers:
            found = workers.map(case_faults, golden) if run_code else map(case_faults, golden)
            faults = [
                f"{golden.label} {case.id}: {fault}"
                for case, own in zip(golden, found, strict=True)
                for fault in own
            ]
        for fault in faults:
            typer.echo(fault, err=True)
        codes.append(ExitCode.REGRESSED if faults else ExitCode.PASS)
        examples = sum(len(case.accepts) + len(case.rejects) for case in golden)
        verdict = (
            f"{len(faults)} wrong" if faults else "all as they should be" if examples else "nothing to test"
        )
        typer.echo(f"{golden.label}: {examples} examples of {len(golden)} cases, {verdict}")
        checked = [case for case in golden if case.checks or case.target is not None]
        bare = [case.id for case in checked if not (case.accepts and case.rejects)]
        if bare:
            shown = ", ".join(bare[:5]) + (f" and {len(bare) - 5} more" if len(bare) > 5 else "")
            typer.echo(f"  without both accepts and rejects: {shown}")
        if attack and not run_code:
            codes.append(_attacked(golden, every_fallen=every_fallen))
    _finish(codes)


def _attacked(golden: GoldenSet, *, every_fallen: bool) -> ExitCode:
    """Attack a set, say what passed, and return whether its manifest allows that."""
    report = attack_cases(golden.cases)
    for line in (*attack_lines(report), *fallen_lines(report, everything=every_fallen)):
        typer.echo(line)
    faults = list(attack_faults(report, golden.manifest.attack))
    for fault in faults:
        typer.echo(f"{golden.label} {fault}", err=True)
    return ExitCode.REGRESSED if faults else ExitCode.PASS


@app.command("list")
def list_sets(roots: list[Path] = GOLDEN) -> None:
    """List the golden sets with their versions."""
    for name in golden_names(roots):
        folder = find_golden(name, roots=roots).parent
        known = ", ".join(f"v{number}" for number in versions(folder))
        typer.echo(f"{name}  {known}  {folder}")


@app.command()
def show(name: str, roots: list[Path] = GOLDEN) -> None:
    """Show what a golden set is: its manifest, tags and checks."""
    golden = load_golden(name, roots=roots)
    manifest = golden.manifest
    typer.echo(f"{golden.label}: {manifest.description or 'no description'}")
    for field, value in (
        ("cases", len(golden)),
        ("must pass", sum(case.must_pass for case in golden)),
        ("locked", f"sha256 {golden.digest}" if golden.locked else "no"),
        ("licence", manifest.licence),
        ("created", " by ".join(filter(None, [manifest.created_at, manifest.created_by]))),
        ("note", manifest.note),
        ("sampling", ", ".join(f"{key}={value}" for key, value in manifest.sampling.items())),
        ("tags", _counts(Counter(tag for case in golden for tag in case.tags))),
        ("checks", _counts(Counter(str(check["type"]) for case in golden for check in case.checks))),
    ):
        if value:
            typer.echo(f"  {field + ':':<10} {value}")


def _labels(names: list[str] | None, roots: list[Path], *, newest: bool = False) -> Iterator[str]:
    """Yield what was named, or every version of every set (`newest`: only the newest of each)."""
    if names:
        yield from names
        return
    for name in golden_names(roots):
        known = versions(find_golden(name, roots=roots).parent)
        yield from (f"{name}/v{number}" for number in (known[-1:] if newest else known))


def _loaded(label: str, roots: list[Path]) -> GoldenSet | None:
    """Read a set, or say on stderr why it cannot be read."""
    try:
        return load_golden(label, roots=roots)
    except GoldenSetError as problem:
        typer.echo(f"{label}: {problem}", err=True)
        return None


def _finish(codes: list[ExitCode]) -> None:
    """Leave with the most severe of the codes; finding no set at all is no success."""
    if not codes:
        raise NoGoldenSetsError("no golden set found: give its folder with --golden")
    if code := most_severe(codes):
        raise typer.Exit(code)


class NoGoldenSetsError(HarnessError):
    """There is nothing to verify or test."""

    exit_code = int(ExitCode.NO_CASES)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))
