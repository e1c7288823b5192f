"""What a record keeps of a command line."""

from __future__ import annotations

import pytest

from harness.plugins.deciding.environment import without_secrets


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["--api-key=s3cret", "-x"], ["--api-key=…", "-x"]),
        (["--api-key", "s3cret", "-x"], ["--api-key", "…", "-x"]),
        (["--some-token", "s3cret", "suites"], ["--some-token", "…", "suites"]),
        (["-M", "openai.password=s3cret"], ["-M", "openai.password=…"]),
        (["--auth-header=s3cret"], ["--auth-header=…"]),
        (["--token-check", "--limit=3"], ["--token-check", "--limit=3"]),
        (["--max-tokens=64", "--max-tokens", "64"], ["--max-tokens=64", "--max-tokens", "64"]),
        (["--model=/home/me/models/a", "-k", "me"], ["--model=~/models/a", "-k", "me"]),
    ],
)
def test_no_secret_and_no_home_is_kept(
    typed: list[str], kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert without_secrets(typed) == kept


def test_a_home_that_is_the_root_replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers that run under a number without a name."""
    monkeypatch.setenv("HOME", "/")
    assert without_secrets(["suites/test_a.py"]) == ["suites/test_a.py"]
