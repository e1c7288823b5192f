"""Without a private name of torch, transformers or PEFT: the same answers with a warning, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hidden_names import hidden
from tiny_models import WORDS, save_adapter, save_model

pytest.importorskip("peft", reason="local models need checkpoint-harness[hf]")

from harness.cases import Message, Request, Response, Sampling
from harness.errors import IncompatibleLibraryError
from harness.inference.adapters import attach_adapter
from harness.inference.loading import load_model, load_tokenizer
from harness.likelihood import Continuation
from harness.plugins.backends.hf import HFBackend
from harness.protocols import BackendOptions
from harness.upstream import torch_internals, transformers_internals
from harness.upstream.fallbacks import fallbacks_in_use
from harness.upstream.private_name import PrivateName

NAMES = (*torch_internals.NAMES, *transformers_internals.NAMES)
BATCHING = ("cascade", "left-padded")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save_model(root / "base")
    save_adapter(root / "dora", root / "base", use_dora=True)  # it cannot be folded
    return root


def asked() -> list[Request]:
    """Questions of several lengths that share a beginning, and some whose answers are given."""
    texts = [" ".join([*WORDS[:18], *WORDS[: 1 + i % 4]]) for i in range(6)]
    drawn = [Request((Message("user", text),), Sampling(max_tokens=4 + i)) for i, text in enumerate(texts)]
    given = tuple(Continuation(f" {word}") for word in WORDS[:3])
    return drawn + [Request((Message("user", text),), Sampling(), continuations=given) for text in texts]


def answers(root: Path, batching: str) -> list[Response]:
    backend = HFBackend(BackendOptions(root=root, state=root / ".harness", arguments={"batching": batching}))
    found = dict(backend.generate(backend.resolve("base", "base"), asked()))
    return [found[index] for index in range(len(found))]


@pytest.fixture(scope="module")
def whole(models: Path) -> dict[str, list[Response]]:
    """What is answered with all names that the installed releases have: all of them, in the newest."""
    found = {batching: answers(models, batching) for batching in BATCHING}
    newest = tuple(map(int, version("torch").split(".")[:2])) >= (2, 13)
    assert not (newest and fallbacks_in_use())
    return found


def agree(ours: Sequence[Response], theirs: Sequence[Response]) -> bool:
    """Whether texts are the same, and likelihoods to rounding."""
    return all(
        (one.text, one.finish_reason) == (other.text, other.finish_reason)
        and [found.logprob for found in one.likelihoods]
        == pytest.approx([found.logprob for found in other.likelihoods], abs=1e-3)
        for one, other in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("name", [name for name in NAMES if not name.guards], ids=str)
def test_without_a_name_the_answers_are_the_same(
    models: Path, whole: dict[str, list[Response]], name: PrivateName
) -> None:
    with hidden(name):
        for batching in BATCHING:
            assert agree(answers(models, batching), whole[batching])
        told = f"has no {name} as it is used here: {name.without}"
        assert any(told in line for line in fallbacks_in_use())


@pytest.mark.parametrize("name", [name for name in NAMES if name.guards], ids=str)
def test_without_a_safeguard_nothing_is_loaded(models: Path, name: PrivateName) -> None:
    def load() -> None:
        load_tokenizer(models / "base")
        model = load_model(models / "base", device="cpu", dtype="float32", attention="sdpa")
        attach_adapter(model, models / "dora", "dora")

    load()
    with hidden(name), pytest.raises(IncompatibleLibraryError, match=f"has no {name}, by which") as raised:
        load()
    assert raised.value.exit_code == 4


def test_a_report_that_tells_less_is_not_trusted(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import peft
    import transformers

    real = transformers.AutoModelForCausalLM.from_pretrained

    def silent(*args: Any, **kwargs: Any) -> Any:
        model, report = real(*args, **kwargs)
        return model, {kind: keys for kind, keys in report.items() if kind != "missing_keys"}

    loading = {"device": "cpu", "dtype": "float32", "attention": "sdpa"}
    model = load_model(models / "base", **loading)
    monkeypatch.setattr(peft.PeftModel, "load_adapter", lambda *args, **kwargs: None)
    with pytest.raises(IncompatibleLibraryError, match=r"peft .* has no peft\.load_result\.missing_keys"):
        attach_adapter(model, models / "dora", "dora")
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", silent)
    with pytest.raises(IncompatibleLibraryError, match=r"has no transformers\.loading_info\.missing_keys"):
        load_model(models / "base", **loading)


def test_the_turns_to_train_are_found_without_the_renderer(models: Path) -> None:
    from harness.data.training_rows import TrainingExample
    from harness.train.chat_format import ChatFormat
    from harness.train.masking import tokenize_rows
    from harness.train.recipe import NewTokenizer
    from harness.train.tokenizer import train_tokenizer

    texts = ["Where is order 4711?", "On its way.", "Thanks", "You're welcome."]
    turns = zip(["user", "assistant"] * 2, texts, strict=True)
    row = TrainingExample(tuple({"role": role, "content": text} for role, text in turns), 0, "rows.jsonl", 1)
    tokenizer = train_tokenizer(texts * 3, NewTokenizer(vocab_size=300), context_length=256)
    marked = ChatFormat(tokenizer, name="base")
    (name,) = [name for name in NAMES if name.name == "render_jinja_template"]
    with hidden(name):
        plain = ChatFormat(tokenizer, name="base")
        assert (marked.marked, plain.marked) == (True, False)
        assert list(tokenize_rows(plain, [row])) == list(tokenize_rows(marked, [row]))
