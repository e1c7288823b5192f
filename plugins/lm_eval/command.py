"""The command `harness-lm-eval`: that of lm-eval itself, where `--model harness` is known."""

from __future__ import annotations

import sys

from harness.errors import HarnessError

from .model import register

__all__ = ["main"]


def main() -> None:
    """Run lm-eval's command line; an error of ours is one line, and its exit code."""
    try:
        register()
        from lm_eval.__main__ import cli_evaluate

        cli_evaluate()
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        sys.exit(error.exit_code)
