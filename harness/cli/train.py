"""`harness train RECIPE.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train"]


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe in YAML.", show_default=False)],
    plan: Annotated[bool, typer.Option("--plan", help="Print the plan and stop.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Fail unless there is a checkpoint to go on from.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Remove the run's checkpoints and start over.")
    ] = False,
    max_steps: Annotated[
        int | None,
        typer.Option("--max-steps", min=1, help="Stop after so many steps, whatever the recipe says."),
    ] = None,
    output: Annotated[str | None, typer.Option("--output", help="Directory of the runs.")] = None,
    why: Annotated[
        str | None, typer.Option("--why", help="What this run is for; kept in its manifests.")
    ] = None,
) -> None:
    """Train a recipe into checkpoints that say how they were made.

    An interrupted run goes on from its newest complete checkpoint, as if it had never stopped.
    """
    import os
    import signal

    from rich.console import Console

    from harness.errors import HarnessError, MissingDependencyError
    from harness.exit_codes import ExitCode
    from harness.project import find_root
    from harness.registry import extra_of
    from harness.report.plain_text import harmless_lines

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads sleep: runs side by side stay fast
    console = Console()
    try:
        from harness.train.recipe_file import load_recipe

        settings = load_recipe(recipe).adjusted(max_steps=max_steps, output=output, why=why)
        root = find_root(recipe.resolve().parent)
        from harness.train import runner
        from harness.train.plan import show_plan

        if plan:
            show_plan(runner.preview(settings, root=root), console)
            return
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            result = runner.run_training(settings, root=root, resume=resume, restart=restart, console=console)
        finally:
            signal.signal(signal.SIGTERM, previous)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if extra_of(package) is None:
            raise
        raise MissingDependencyError(package, "train") from error
    except HarnessError as error:
        typer.echo(f"harness: {harmless_lines(str(error))}", err=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        typer.echo("harness: interrupted: run the same command to go on from the newest checkpoint", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    if result.checkpoints:
        console.print(f"done: {result.plan.run}/{result.checkpoints[-1].name}", highlight=False, markup=False)


def _interrupt(signum: int, frame: object) -> None:
    """Stop as ctrl-C does."""
    raise KeyboardInterrupt
