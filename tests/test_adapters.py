"""Adapters of every kind answer as PEFT alone lets them, whichever were asked before; or why they do not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from adapter_kinds import KINDS, Answers, answers_of_ours, answers_of_peft, save_kind
from model_architectures import build
from tiny_models import save_adapter, save_model

from harness.errors import CheckpointError
from harness.plugins.backends.hf import HFBackend
from harness.protocols import BackendOptions

BASE = "base"
REPRESENTATIVE = (BASE, "lora", "dora", "pissa", "added tokens")
"""One of each way: nothing, folded, on a shared base, and changes of the base's weights and of its size."""


def every_pair(names: Sequence[str]) -> list[str]:
    """Return a walk in which each name follows each other one, and itself, once.

    Names are towns and ordered pairs are streets of one direction: since as many lead into a town as out of
    it, there is a round trip (Hierholzer 1873).
    """
    streets = {name: list(names) for name in names}
    stack, walk = [names[0]], []
    while stack:
        if streets[stack[-1]]:
            stack.append(streets[stack[-1]].pop())
        else:
            walk.append(stack.pop())
    return walk[::-1]


def backend(root: Path, state: Path) -> HFBackend:
    # what one of them cannot do, none does: as a session with all of them is reconciled
    return HFBackend(BackendOptions(root=root, state=state, arguments={"weights": "plain"}))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("adapters")
    build("qwen2", root / BASE)
    return root


def alone(root: Path, state: Path, names: Sequence[str]) -> dict[str, Answers]:
    answers: dict[str, Answers] = {}
    for name in names:
        if name != BASE:
            kind, settings = KINDS[name]
            added, seed = 3 if name == "added tokens" else 0, list(KINDS).index(name)
            save_kind(root / name, root / BASE, kind, settings, seed=seed, added=added)
            answers[name] = answers_of_peft(root / name, root / BASE)
    made = backend(root, state)
    answers[BASE] = answers_of_ours(made, made.resolve(BASE, BASE))
    assert len({answer.texts for answer in answers.values()}) == len(answers)  # each of them does something
    return answers


def wrong_steps(root: Path, state: Path, names: Sequence[str]) -> Iterator[str]:
    expected = alone(root, state, names)
    made = backend(root, state)
    before = "nothing"
    for name in every_pair(names):
        if not answers_of_ours(made, made.resolve(name, name)).is_near(expected[name]):
            yield f"{name} after {before}"
        before = name


def test_a_walk_has_each_ordered_pair_once() -> None:
    walk = every_pair("abcde")
    assert sorted(itertools.pairwise(walk)) == [(a, b) for a in "abcde" for b in "abcde"]


def test_representative_adapters_follow_each_other_and_answer_as_alone(root: Path, tmp_path: Path) -> None:
    assert not list(wrong_steps(root, tmp_path, REPRESENTATIVE))


@pytest.mark.slow
def test_adapters_of_every_kind_follow_each_other_and_answer_as_alone(root: Path, tmp_path: Path) -> None:
    assert len(KINDS) >= 17
    assert not list(wrong_steps(root, tmp_path, (BASE, *KINDS)))


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("gpt2", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),  # files without a prefix
        ("gpt2", {"target_modules": [r"attn.c_proj"], "fan_in_fan_out": True}),  # a square layer alone
        ("mixtral", {"target_modules": "all-linear"}),  # experts are one tensor in memory, many in the file
        ("mixtral", {"target_modules": ["q_proj"], "target_parameters": ["mlp.experts.down_proj"]}),
        ("qwen2_moe", {"target_modules": "all-linear"}),
        ("falcon, rotary", {"target_modules": "all-linear"}),  # its layers are of a class of their own
        ("mamba", {"target_modules": ["in_proj", "x_proj"]}),
        ("gemma2", {"target_modules": "all-linear"}),
    ],
)
def test_adapters_of_other_architectures_answer_as_peft_lets_them(
    architecture: str, settings: dict[str, object], tmp_path: Path
) -> None:
    base = build(architecture, tmp_path / BASE)
    adapter = save_kind(tmp_path / "one", base, "LoraConfig", settings, seed=5)
    expected = answers_of_peft(adapter, base)
    made = HFBackend(BackendOptions(root=tmp_path, state=tmp_path / "state"))
    answers = {name: answers_of_ours(made, made.resolve(name, name)) for name in (BASE, "one")}
    assert answers["one"].is_near(expected)
    assert answers[BASE] != answers["one"]


def test_adapters_that_need_peft_to_be_called_are_refused(tmp_path: Path) -> None:
    base = save_model(tmp_path / BASE)
    for changes, why in (
        ({"peft_type": "PREFIX_TUNING"}, "type PREFIX_TUNING are not supported"),
        ({"alora_invocation_tokens": [5, 6]}, "with alora_invocation_tokens are not supported"),
    ):
        path = save_adapter(tmp_path / "one", base)
        config = json.loads((path / "adapter_config.json").read_text()) | changes
        (path / "adapter_config.json").write_text(json.dumps(config))
        made = backend(tmp_path, tmp_path / "state")
        with pytest.raises(CheckpointError, match=f"{why}; merge it into its base first"):
            made.resolve("one", "one")


def test_tokens_trained_beyond_an_untied_base_are_refused(tmp_path: Path) -> None:
    base = save_model(tmp_path / BASE)
    path = save_adapter(tmp_path / "one", base)
    config = json.loads((path / "adapter_config.json").read_text()) | {"trainable_token_indices": [5, 4000]}
    (path / "adapter_config.json").write_text(json.dumps(config))
    made = backend(tmp_path, tmp_path / "state")
    with pytest.raises(CheckpointError, match="trains token 4000, its base has 28 and"):
        answers_of_ours(made, made.resolve("one", "one"))
