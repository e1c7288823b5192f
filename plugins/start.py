"""How a session that gates begins: what it gates, what it runs, and the hooks that do it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError, problem_lines
from harness.report.plain_text import harmless_lines

from .hooks import Activity
from .running.async_tests import AsyncTests
from .running.gc_tuning import collect_rarely
from .session.options import Settings
from .session.session import GateSession
from .session.stash import SESSION

__all__ = ["default_to_suites", "start"]


def start(config: pytest.Config, settings: Settings) -> None:
    """Resolve the session's checkpoints and register the hooks that gate them.

    Raises:
        pytest.UsageError: A checkpoint, the baseline or the judge cannot be used; nothing was written.
    """
    worker = getattr(config, "workerinput", None)
    default_to_suites(config, tasks=bool(settings.lm_eval_tasks))
    if settings.early_stop and worker is None:
        from .running.early_stop import refuse_workers

        refuse_workers(config)
    if settings.results is not None and worker is None and not settings.results.parent.is_dir():
        raise pytest.UsageError(
            f"--harness-json={settings.results}: there is no folder {settings.results.parent}: make it first"
        )
    try:
        session = GateSession(settings, config.rootpath, worker["harness_session"] if worker else None)
    except UsageError as error:
        raise pytest.UsageError(*map(harmless_lines, problem_lines(error))) from error
    config.stash[SESSION] = session
    collect_rarely(config)
    config.pluginmanager.register(Activity(config, session), "harness-activity")
    config.pluginmanager.register(AsyncTests(), "harness-async-tests")


def default_to_suites(config: pytest.Config, tasks: bool) -> None:
    """Without a path, run the suites and not `testpaths`; add the module that gates `--lm-eval-tasks`."""
    named_paths = config.args_source is pytest.Config.ArgsSource.ARGS
    if tasks:
        module = Path(__file__).with_name("lm_eval") / "task_suite.py"
        config.args = [*(config.args if named_paths else ()), str(module)]
    if tasks or named_paths:
        return
    named = str(config.getini("harness_suites") or "suites")
    folder = config.rootpath / named
    if not folder.exists():
        raise pytest.UsageError(
            f"no {named}/ under {config.rootpath}: name a path, set the ini key harness_suites, "
            "or run the shipped suites with --pyargs harness.suites"
        )
    config.args = [str(folder)]
