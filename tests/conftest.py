"""What the tests share."""

from __future__ import annotations

from importlib.util import find_spec

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
