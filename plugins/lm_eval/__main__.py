"""`python -m harness.plugins.lm_eval …`: the command line of lm-eval, where `--model harness` is known."""

from __future__ import annotations

import sys

from harness.errors import HarnessError

from .model import register

if __name__ == "__main__":
    try:
        register()
        from lm_eval.__main__ import cli_evaluate

        cli_evaluate()
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        sys.exit(error.exit_code)
