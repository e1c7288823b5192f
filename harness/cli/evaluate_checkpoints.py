"""Evaluate checkpoints for `harness compare`: a child pytest over the project's suites."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.cli.gate import run_gated
from harness.errors import ConfigurationError, StoreError
from harness.exit_codes import ExitCode
from harness.runs.record import RunRecord

__all__ = ["evaluate_checkpoints"]


def evaluate_checkpoints(
    specs: list[str], *, baseline: str, allow_same: bool = False, arguments: Sequence[str] = ()
) -> RunRecord:
    """Run the project's suites over checkpoints against a baseline, and return the run's record.

    Answers that the response cache has are not generated again.

    Args:
        specs: The candidates.
        baseline: What they are compared with.
        allow_same: Whether a checkpoint may be compared with itself.
        arguments: Further ones for pytest: options, paths of suites.

    Raises:
        ConfigurationError: pytest could not run them; it has said why.
        StoreError: It left no verdict behind.
    """
    with tempfile.TemporaryDirectory(prefix="harness-compare-") as folder:
        path = Path(folder) / "results.json"
        words = [f"--harness-model={','.join(specs)}", f"--harness-baseline={baseline}", "-q"]
        words += ["--harness-allow-same"] if allow_same else []
        code, found = run_gated([*words, *arguments], results=path, aside=True)
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if code in (ExitCode.USAGE, ExitCode.NO_CASES):
            raise ConfigurationError(f"the suites could not be run over {', '.join(specs)} (see above)")
        if found is None:
            raise StoreError(f"evaluating {', '.join(specs)} left no verdict behind (exit code {code})")
        return RunRecord.from_json(found.read_text(encoding="utf-8"))
