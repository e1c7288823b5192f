"""Gates as data: strict, by line, and over the markers field by field."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.gate.policy import Gate
from harness.gate.policy_file import load_gate_file

YAML = """\
gates:
  default:
    margin: 0.03
  refunds:
    policy: non-inferior
    min_score: 0.6
  safety:
    margin: 0
"""

TOML = """\
[project]
name = "desk"

[tool.harness.gates]
default = { margin = 0.03 }

[tool.harness.gates.refunds]
policy = "non-inferior"
min_score = 0.6

[tool.harness.gates.safety]
margin = 0
"""


def test_without_a_file_the_markers_gate_stands(tmp_path: Path) -> None:
    found = load_gate_file(tmp_path).effective("refunds", Gate(margin=0.05))
    assert found.gate == Gate(margin=0.05)
    assert (found.sources["margin"], found.sources["alpha"]) == ("marker", "default")


@pytest.mark.parametrize(
    ("name", "text", "lines"), [("gates.yaml", YAML, (3, 5, 8)), ("pyproject.toml", TOML, (5, 8, 12))]
)
def test_fields_win_one_by_one(tmp_path: Path, name: str, text: str, lines: tuple[int, int, int]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    gates = load_gate_file(tmp_path)
    refunds = gates.effective("refunds", Gate(margin=0.05, alpha=0.1))
    assert refunds.gate == Gate(policy="non-inferior", margin=0.03, alpha=0.1, min_score=0.6)
    assert refunds.sources["margin"] == f"{name}:{lines[0]}"
    assert refunds.sources["policy"] == f"{name}:{lines[1]}"
    assert refunds.sources["alpha"] == "marker"
    safety = gates.effective("safety", Gate())
    assert (safety.gate.margin, safety.sources["margin"]) == (0, f"{name}:{lines[2]}")
    assert gates.effective("other", Gate()).gate == Gate(margin=0.03)


def test_both_files_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(YAML, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
    assert load_gate_file(tmp_path).path == "gates.yaml"
    (tmp_path / "pyproject.toml").write_text(TOML, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="given twice"):
        load_gate_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "gates:\n  refunds:\n    magrin: 0.1\n",
            r"gates.yaml:3: refunds: unknown key 'magrin' \(did you mean",
        ),
        (
            "gates:\n  refunds:\n    margin: 2\n",
            r"gates.yaml:3: refunds: margin must be a number in \[0, 1\)",
        ),
        ("gates:\n  refunds:\n    margin: '0.1'\n", "gates.yaml:3: refunds: margin must be a number"),
        (
            "gates:\n  refunds:\n    alpha: 0\n    policy: strict\n",
            "(?s)yaml:3: .*yaml:4: refunds: policy must",
        ),
        ("gates:\n  refunds: 0.1\n", "gates.yaml:2: refunds: expected a mapping"),
        ("release: [refunds]\n", "gates.yaml:1: release should be a mapping"),
        ("gaets: {}\n", r"gates.yaml:1: unknown key 'gaets' \(did you mean 'gates'\?\)"),
        ("- gates\n", "gates.yaml:1: expected a mapping"),
        ("gates:\n  a: {margin: 0}\n  a: {margin: 0.5}\n", "gates.yaml:3: the key 'a' is already given"),
        ("gates:\n  a: {allow_margin_below_noise: 1}\n", "gates.yaml:2: a: allow_margin_below_noise must be"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "gates.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        load_gate_file(tmp_path)


def test_toml_says_its_lines_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        TOML.replace("min_score = 0.6", "min_scor = 0.6"), encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"pyproject.toml:9: refunds: unknown key 'min_scor'"):
        load_gate_file(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.harness.gates\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not TOML"):
        load_gate_file(tmp_path)


def test_the_keys_of_select_have_lines_in_both_files(tmp_path: Path) -> None:
    yaml, toml = tmp_path / "gates.yaml", tmp_path / "pyproject.toml"
    yaml.write_text(
        "select:\n  objectives:\n    - suite: a\n    - suite: b\n      weight: 2\n", encoding="utf-8"
    )
    found = load_gate_file(tmp_path)
    assert [found.select_line(), found.select_line("objectives", 1, "weight")] == [1, 5]
    yaml.unlink()
    table = "[[tool.harness.select.objectives]]"
    text = f'[tool.harness.select]\n{table}\nsuite = "a"\n{table}\nsuite = "b"\nweight = 2\n'
    toml.write_text(text, encoding="utf-8")
    found = load_gate_file(tmp_path)
    assert [found.select_line(), found.select_line("objectives", 1, "weight")] == [1, 6]
    assert found.select_line("objectives", 0, "weight") == 2  # not there: the nearest around it


def test_values_that_do_not_go_with_the_marker(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text("gates:\n  a:\n    policy: absolute\n", encoding="utf-8")
    gates = load_gate_file(tmp_path)
    assert gates.effective("a", Gate(min_score=0.5)).gate.policy == "absolute"
    with pytest.raises(ConfigurationError, match=r"gates.yaml:2: suite 'a': gate: min_score is missing"):
        gates.effective("a", Gate())


def test_a_suite_that_there_is_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(YAML, encoding="utf-8")
    gates = load_gate_file(tmp_path)
    gates.refuse_unknown({"refunds", "safety", "orders"})
    with pytest.raises(ConfigurationError, match=r"gates.yaml:4: no suite 'refunds' \(did you mean 'refund'"):
        gates.refuse_unknown({"refund", "safety"})


def test_a_file_of_nearly_the_right_name_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gates.yml").write_text(YAML, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"^gates\.yml: nobody reads .*: call it gates\.yaml$"):
        load_gate_file(tmp_path)


def test_a_policy_that_differs_from_the_files_is_told_field_by_field(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(
        "gates:\n  refunds:\n    margin: 0.02\n    alpha: 0.01\n", encoding="utf-8"
    )
    file = load_gate_file(tmp_path)
    assert file.change("refunds", Gate(margin=0.02, alpha=0.01), {}) is None
    change = file.change("refunds", Gate(margin=0.05, alpha=0.01), {})
    assert change == ("refunds: gated under another policy (margin was 0.05, gates.yaml:3 says 0.02)")
