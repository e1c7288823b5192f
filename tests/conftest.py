"""What the tests share."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

pytest_plugins = ["pytester"]

# With only the core installed, what needs an extra is left out: the core itself is still tested whole.
NEEDS = {
    "torch": (
        "test_hf_backend.py",
        "test_masking.py",
        "test_saving.py",
        "integration/test_cache.py",
        "integration/test_cli_train.py",
        "integration/test_training.py",
        "integration/test_training_kill.py",
    ),
    "openai": ("test_served_backends.py", "integration/test_judge.py"),
    "matplotlib": ("test_report.py",),
}
collect_ignore = [name for package, names in NEEDS.items() if find_spec(package) is None for name in names]

# What a CI service sets and the code or a library reads: golden sets and baselines are read only there, and
# help texts are coloured. Tests of that set it themselves; all others say the same wherever they run.
SET_BY_CI = ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS")


def pytest_configure(config: pytest.Config) -> None:
    """Forget the CI service before the first test, in each worker and in the commands that tests start."""
    for name in SET_BY_CI:
        os.environ.pop(name, None)
