"""`harness noise`: how far a checkpoint's scores lie from its own."""

from __future__ import annotations

import json as json_format
import tempfile
from dataclasses import asdict
from pathlib import Path

import typer

from harness.cli.folders import STATE
from harness.cli.gate import run_gated
from harness.clock import utc_now
from harness.errors import ConfigurationError, StoreError
from harness.exit_codes import ExitCode
from harness.gate.noise import NoiseRecord, measure, of_all_repeats, write_noise
from harness.runs.record import RunRecord, results_of

__all__ = ["noise"]

_CHECKPOINT = typer.Argument(
    metavar="CHECKPOINT", help="The checkpoint, as --model takes it: usually the base."
)
_PATHS = typer.Argument(None, metavar="[PATHS]", help="Suites, as pytest takes them; all by default.")
_REPEATS = typer.Option(2, "--repeats", min=2, max=20, metavar="K", help="How often every case is answered.")
_TEMPERATURE = typer.Option(None, "--temperature", min=0.0, help="Overrides the golden sets' temperature.")
_MAX_TOKENS = typer.Option(None, "--max-tokens", min=1, help="Overrides the golden sets' answer length.")
_EPOCHS = typer.Option(1, "--epochs", min=1, help="Samples per case in each repeat.")
_ARGUMENTS = typer.Option(None, "-M", metavar="KEY=VALUE", help="Argument for the backend; repeatable.")
_JSON = typer.Option(False, "--json", help="Print JSON.")
_BATCH_SIZES = ("auto", "8", "3", "16", "5")


def noise(
    checkpoint: str = _CHECKPOINT,
    paths: list[str] | None = _PATHS,
    repeats: int = _REPEATS,
    temperature: float | None = _TEMPERATURE,
    max_tokens: int | None = _MAX_TOKENS,
    epochs: int = _EPOCHS,
    argument: list[str] | None = _ARGUMENTS,
    json: bool = _JSON,
    state: Path = STATE,
) -> None:
    """Answer the suites several times, with other seeds and in other batches, and keep how far that spreads.

    A gate whose margin lies below the noise of its baseline is refused from then on, unless it says
    allow_margin_below_noise.
    """
    if "," in checkpoint:
        raise ConfigurationError(f"{checkpoint}: name one checkpoint: noise is of one at a time")
    sampling = {"temperature": temperature, "max_tokens": max_tokens}
    options = [
        *(
            f"--harness-{name.replace('_', '-')}={value}"
            for name, value in sampling.items()
            if value is not None
        ),
        *(f"--harness-model-arg={one}" for one in argument or ()),
        f"--harness-epochs={epochs}",
    ]
    records = []
    for number in range(repeats):
        typer.echo(f"{checkpoint}: repeat {number + 1} of {repeats}", err=True)
        records.append(_repeat(checkpoint, [*options, *(paths or [])], number))
    candidates = [record.candidates[0] for record in records]
    if len({entry.fingerprint for entry in candidates}) > 1:
        raise StoreError(f"{checkpoint}: its files changed between the repeats: measure again")
    spec = candidates[0].spec
    found = NoiseRecord(
        checkpoint=spec,
        fingerprint=candidates[0].fingerprint,
        created=utc_now(),
        sampling=sampling,
        suites=measure(
            [results_of(record, spec) for record in records],
            epochs=epochs,
            reduce={verdict.suite: verdict.gate.reduce for verdict in records[0].verdicts},
        ),
        numerics=of_all_repeats(candidates[0].numerics),
    )
    path = write_noise(found, state)
    if json:
        typer.echo(
            json_format.dumps([asdict(one) | {"noise": one.reach()} for one in found.suites], indent=1)
        )
        return
    _print(found)
    typer.echo(f"\nkept in {path}: gates that compare with {spec} refuse a margin below the noise")


def _repeat(checkpoint: str, arguments: list[str], number: int) -> RunRecord:
    """Run the suites once, aside from the project's runs and answers.

    Its verdicts say nothing, there being no baseline: what pytest prints is shown where it fails.
    """
    with tempfile.TemporaryDirectory(prefix="harness-noise-") as folder:
        code, found = run_gated(
            [
                f"--harness-model={checkpoint}",
                f"--harness-seed={number}",
                f"--harness-batch-size={_BATCH_SIZES[number % len(_BATCH_SIZES)]}",
                "--harness-no-cache",
                "--harness-allow-margin-below-noise",
                "-o",
                f"harness_state={folder}",
                "-q",
                "--no-header",
                *arguments,
            ],
            results=Path(folder) / "results.json",
            log=(log := Path(folder) / "pytest.log"),
        )
        if found is None:
            typer.echo(log.read_text(encoding="utf-8", errors="replace"), err=True)
        if code in (ExitCode.USAGE, ExitCode.NO_CASES):
            raise ConfigurationError(f"the suites could not be run over {checkpoint} (see above)")
        if found is None:
            raise StoreError(f"repeat {number + 1} of {checkpoint} left no results behind (exit code {code})")
        return RunRecord.from_json(found.read_text(encoding="utf-8"))


def _print(found: NoiseRecord) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.report.plain_text import one_line

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("suite", overflow="fold")
    for heading in ("cases", "flips", "Δ points", "sd", "noise", "within", "between"):
        table.add_column(heading, justify="right")
    for one in found.suites:
        points = [
            f"{100 * value:.1f}" for value in (one.mean_difference, one.standard_deviation, one.reach())
        ]
        variances = [f"{value:.4f}" for value in (one.within, one.between)]
        table.add_row(*map(Text, (one_line(one.suite), str(one.n), str(one.flips), *points, *variances)))
    console.print(table)
    for one in found.suites:
        total = one.within + one.between
        if one.within and total and (one.reduce == "mean" or one.epochs == 1):
            share = 100 * one.within / total
            epochs = 4 * one.epochs
            typer.echo(
                f"{one_line(one.suite)}: {share:.0f} % of the spread of scores is chance within a case: "
                f"--epochs={epochs} would bring the noise to {100 * one.reach(epochs):.1f} points"
            )
