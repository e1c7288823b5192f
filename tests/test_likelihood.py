"""Likelihoods of continuations: against forward passes of one, however they are packed or short of memory."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import WORDS, save_adapter, save_model

from harness.cases import Message, Request, Response, Sampling
from harness.errors import CheckpointError, InferenceError
from harness.inference import continuations, token_likelihood
from harness.inference.continuations import Wanted, encode_continuations, rolling_windows
from harness.inference.layout_support import supports_layouts
from harness.inference.likelihood import score
from harness.inference.loading import load_model, load_tokenizer
from harness.inference.packed_layout import PackedLayout, _seen
from harness.inference.token_likelihood import TokenLikelihood, score_passages
from harness.inference.token_packs import Pack, packs
from harness.inference.token_tree import Passage
from harness.likelihood import Continuation
from harness.plugins.backends.hf import HFBackend
from harness.protocols import BackendOptions

VOCABULARY = 50
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def model(name: str = "Llama", **changes: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**SHAPE, **changes})
    kind = {"GPT2": "GPT2LMHeadModel"}.get(name, f"{name}ForCausalLM")
    made = getattr(transformers, kind)(config).eval()
    with torch.no_grad():  # spread the logits, so that a wrong place gives another number
        made.get_output_embeddings().weight.mul_(20.0)
    return made


def alone(model: Any, passage: Passage) -> tuple[float, bool]:
    """Score one passage in a pass of its own."""
    with torch.inference_mode():
        logprobs = model(input_ids=torch.tensor([list(passage.tokens)])).logits[0].double().log_softmax(-1)
    places = range(passage.start, len(passage.tokens))
    total = sum(float(logprobs[place - 1, passage.tokens[place]]) for place in places)
    return total, all(int(logprobs[place - 1].argmax()) == passage.tokens[place] for place in places)


def written(model: Any, context: list[int], count: int) -> list[int]:
    """Return what greedy decoding writes."""
    tokens = list(context)
    for _ in range(count):
        with torch.inference_mode():
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(context) :]


def drawn(seed: int, *, prefix: int = 40, groups: int = 5, long: int = 90) -> list[Passage]:
    """Return passages of several kinds: shared beginnings, one-token choices, duplicates, long texts."""
    draw = random.Random(seed)

    def tokens(count: int) -> list[int]:
        return [draw.randrange(VOCABULARY) for _ in range(count)]

    shared, found = tokens(prefix), []
    for _ in range(groups):
        context = shared + tokens(draw.choice([1, 7, long]))
        for _ in range(draw.randrange(1, 5)):
            found.append(Passage(context + tokens(draw.choice([1, 1, 3, 20])), len(context)))
    found += [found[0], Passage([1, *tokens(long)], 1), Passage(tokens(2), 1)]
    draw.shuffle(found)
    return found


def likelihoods(model: Any, passages: Sequence[Passage], **options: Any) -> list[TokenLikelihood]:
    found = dict(score_passages(model, passages, **options))
    assert sorted(found) == list(range(len(passages)))
    results = [found[index] for index in range(len(passages))]
    assert all(isinstance(result, TokenLikelihood) for result in results), results
    return results  # type: ignore[return-value]


def assert_right(model: Any, passages: Sequence[Passage], **options: Any) -> None:
    for passage, found in zip(passages, likelihoods(model, passages, **options), strict=True):
        logprob, greedy = alone(model, passage)
        assert found.logprob == pytest.approx(logprob, abs=1e-4)
        assert found.greedy == greedy


# --- token ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "packed"),
    [
        ("Llama", {}, True),
        ("Llama", {"num_key_value_heads": 4, "tie_word_embeddings": True}, True),
        ("Qwen2", {"num_key_value_heads": 1}, True),  # biases
        ("GPT2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 2048}, True),  # learned positions
        ("Mistral", {"sliding_window": 16}, False),
        ("Gemma2", {"sliding_window": 16, "head_dim": 8}, False),  # soft caps and windows
        ("Bloom", {"n_layer": 2, "n_head": 4}, False),  # ALiBi
    ],
)
def test_likelihoods_are_those_of_each_passage_alone(
    name: str, changes: dict[str, Any], packed: bool
) -> None:
    made = model(name, **changes)
    assert supports_layouts(made) is packed
    passages = drawn(0)
    context = list(passages[0].tokens[: passages[0].start])
    passages.append(Passage(context + written(made, context, 3), len(context)))
    assert likelihoods(made, passages)[-1].greedy
    for budget in (None, 64):
        assert_right(made, passages, budget=budget)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("budget", [16, 150, 1024])
def test_whatever_is_shared_and_however_it_is_cut(seed: int, budget: int) -> None:
    draw = random.Random(seed)
    passages = drawn(seed, prefix=draw.choice([0, 2, 300]), groups=draw.randrange(1, 8), long=300)
    assert_right(model(), passages, budget=budget)


def test_the_order_of_the_passages_does_not_matter() -> None:
    passages = drawn(3)
    one = likelihoods(model(), passages)
    other = likelihoods(model(), passages[::-1])[::-1]
    assert [found.logprob for found in one] == pytest.approx([found.logprob for found in other], abs=1e-4)


def test_bfloat16_is_near() -> None:
    made = model().bfloat16()
    passages = drawn(4)
    for passage, found in zip(passages, likelihoods(made, passages), strict=True):
        assert found.logprob == pytest.approx(alone(made, passage)[0], rel=0.05, abs=1.0)


def read_tokens(monkeypatch: pytest.MonkeyPatch, made: Any) -> list[int]:
    """Count the tokens of each forward pass from here on."""
    counts: list[int] = []
    forward = made.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        counts.append(kwargs["input_ids"].numel())
        return forward(*args, **kwargs)

    monkeypatch.setattr(made, "forward", counted)
    return counts


def test_what_is_shared_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    made = model()
    assert supports_layouts(made)
    counts = read_tokens(monkeypatch, made)

    def tokens(count: int) -> list[int]:
        return [draw.randrange(VOCABULARY) for _ in range(count)]

    system = tokens(100)
    blocks = [[*system, index, *tokens(200)] for index in range(2)]  # two suites' few-shot blocks
    contexts = [[*block, index, *tokens(20)] for index in range(10) for block in blocks]
    letters = [Passage([*context, choice], len(context)) for context in contexts for choice in range(4)]
    likelihoods(made, letters)
    assert sum(counts) == 100 + 2 * 201 + 20 * 21  # one row of logits serves four choices
    counts.clear()
    numbers = [
        Passage([*context, choice, *tokens(3)], len(context)) for context in contexts for choice in range(4)
    ]
    likelihoods(made, numbers)
    assert sum(counts) == 100 + 2 * 201 + 20 * 21 + 80 * 3


def test_only_the_wanted_logits_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    assert supports_layouts(made)
    rows: list[int] = []
    head = made.lm_head.forward
    monkeypatch.setattr(made.lm_head, "forward", lambda states: rows.append(states.shape[-2]) or head(states))
    context = list(range(40))
    likelihoods(
        made, [Passage([*context, 1, 2], 40), Passage([*context, 1, 3], 40), Passage([*context, 4], 40)]
    )
    assert sum(rows) == 2  # after the context, and after the 1


@given(
    st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=12), min_size=1, max_size=8), st.integers(1, 30)
)
@settings(max_examples=300, deadline=None)
def test_each_token_sees_exactly_what_stands_before_it(texts: list[list[int]], budget: int) -> None:
    passages = [Passage(text, 1 + len(text) % (len(text) - 1)) for text in texts]
    plan = packs(passages, budget)
    stands: dict[int, list[tuple[int, int]]] = {}  # tokens and positions of kept chains
    asked: dict[int, set[tuple[int, ...]]] = {}
    kept: set[int] = set()
    for pack in plan:
        assert 0 < len(pack.tokens) <= budget
        seen = visible(pack, stands, kept)
        for want in pack.asked:
            passage = passages[want.passage]
            position = pack.positions[want.row]
            assert passage.start - 1 <= position < passage.read
            assert want.token == passage.tokens[position + 1]
            assert sorted(seen[want.row]) == sorted((at, passage.tokens[at]) for at in range(position + 1))
            asked.setdefault(want.passage, set()).add((position,))
        kept |= pack.keep
        kept -= pack.drop
    assert not kept
    for index, passage in enumerate(passages):
        assert len(asked[index]) == len(passage.tokens) - passage.start
    assert sum(len(pack.asked) for pack in plan) == sum(len(p.tokens) - p.start for p in passages)


def visible(
    pack: Pack, stands: dict[int, list[tuple[int, int]]], kept: set[int]
) -> dict[int, list[tuple[int, int]]]:
    """Return (position, token) of all that each token of a pack attends to."""
    cells = list(zip(pack.positions, pack.tokens, strict=True))
    seen: dict[int, list[tuple[int, int]]] = {}
    for chain in pack.chains:
        stands[chain.key] = cells[chain.first : chain.end]
        for place in range(chain.first, chain.end):
            seen[place] = cells[chain.first : place + 1]
    for bush in pack.bushes:
        for place, row in enumerate(_seen(bush)):
            seen[bush.first + place] = [cells[bush.first + other] for other in row.nonzero()[0]]
    own = {chain.key for chain in pack.chains}
    for view in pack.views:
        assert view.chain in own | kept
        for place in range(view.first, view.end):
            seen[place] = seen[place] + stands[view.chain]
    assert sorted(seen) == list(range(len(cells)))
    return seen


# --- memory and numbers that are none ------------------------------------------------------------------


def starved(monkeypatch: pytest.MonkeyPatch, made: Any, most: int) -> list[int]:
    """Let forward passes of more than so many tokens run out of memory; return the sizes tried."""
    sizes: list[int] = []
    forward = made.forward

    def limited(*args: Any, **kwargs: Any) -> Any:
        sizes.append(kwargs["input_ids"].numel())
        if sizes[-1] > most:
            raise torch.OutOfMemoryError("out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(made, "forward", limited)
    return sizes


@pytest.mark.parametrize("name", ["Llama", "Mistral"])
def test_out_of_memory_halves_a_pass_and_keeps_what_is_done(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model(name, **({"sliding_window": 16} if name == "Mistral" else {}))
    passages = drawn(5)
    expected = [alone(made, passage)[0] for passage in passages]
    supports_layouts(made)
    sizes = starved(monkeypatch, made, 200)
    found = [result.logprob for result in likelihoods(made, passages, budget=600)]
    assert found == pytest.approx(expected, abs=1e-4)
    assert sum(size > 200 for size in sizes) in (1, 2)


def test_what_does_not_fit_alone_is_an_error_and_the_rest_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = model("Mistral", sliding_window=16)
    passages = [*drawn(6, prefix=5, long=20), Passage([3] * 100, 90)]
    expected = [alone(made, passage)[0] for passage in passages]
    supports_layouts(made)
    starved(monkeypatch, made, 60)
    found = dict(score_passages(made, passages))
    failed = found.pop(len(passages) - 1)
    assert isinstance(failed, InferenceError)
    assert "100 tokens" in str(failed)
    for index, result in found.items():
        assert isinstance(result, TokenLikelihood)
        assert result.logprob == pytest.approx(expected[index], abs=1e-4)


def test_no_memory_at_all_ends_with_an_error_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    passages = drawn(7)
    supports_layouts(made)
    starved(monkeypatch, made, 0)
    found = dict(score_passages(made, passages))
    assert sorted(found) == list(range(len(passages)))
    assert all(isinstance(result, InferenceError) for result in found.values())


def test_another_error_is_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    supports_layouts(made)

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(made, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        list(score_passages(made, drawn(8)))


def test_logits_that_are_no_numbers_give_errors() -> None:
    made = model()
    with torch.no_grad():
        made.lm_head.weight.fill_(float("nan"))
    found = dict(score_passages(made, drawn(9)))
    assert found
    assert all(isinstance(result, InferenceError) for result in found.values())


def test_chains_are_kept_no_longer_than_they_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    attend = PackedLayout.attend

    def watched(self: Any, *args: Any) -> Any:
        held.append(len(self._kept))
        return attend(self, *args)

    monkeypatch.setattr(token_likelihood.PackedLayout, "attend", watched)
    draw = random.Random(0)
    contexts = [[index, *(draw.randrange(VOCABULARY) for _ in range(300))] for index in range(12)]
    passages = [Passage([*context, choice, 1], len(context)) for context in contexts for choice in range(4)]
    assert_right(model(), passages, budget=310)
    assert max(held) <= 2


# --- text ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save_model(root / "base")
    save_adapter(root / "one", root / "base", seed=1)
    return root


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[Any, Any]:
    made = load_model(folder / "base", device="cpu", dtype="float32", attention="sdpa")
    return made, load_tokenizer(folder / "base")


def choice(question: str, *choices: str, raw: bool = False) -> Request:
    return Request((Message("user", question),), continuations=tuple(map(Continuation, choices)), raw=raw)


def answers(loaded: tuple[Any, Any], asked: Sequence[Request], **options: Any) -> list[Response]:
    found = dict(score(*loaded, asked, **options))
    assert sorted(found) == list(range(len(asked)))
    return [found[index] for index in range(len(asked))]


def test_an_answer_holds_the_likelihood_of_each_choice(loaded: tuple[Any, Any]) -> None:
    made, tokenizer = loaded
    asked = [
        choice("the red box is", " seven", " blue box", " no"),
        choice("help", " yes", " no now", raw=True),
    ]
    for request, response, prompt in zip(
        asked, answers(loaded, asked), ["<|user|>the red box is<|end|><|assistant|>", "help"], strict=True
    ):
        assert response.finish_reason == "stop"
        assert response.prompt == prompt
        context = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        for continuation, found in zip(request.continuations, response.likelihoods, strict=True):
            whole = tokenizer(prompt + continuation.text, add_special_tokens=False)["input_ids"]
            logprob, greedy = alone(made, Passage(whole, len(context)))
            assert (found.logprob, found.greedy) == (pytest.approx(logprob, abs=1e-4), greedy)
            assert found.tokens == len(whole) - len(context)
        best = max(range(len(response.likelihoods)), key=lambda index: response.likelihoods[index].logprob)
        assert response.text == request.continuations[best].text
        assert response.prompt_tokens == len(context)
        assert response.completion_tokens == response.likelihoods[best].tokens
        assert response.latency_ms is not None
        assert response.latency_ms > 0


def test_a_choice_may_bring_its_own_prompt(loaded: tuple[Any, Any]) -> None:
    contexts = ("the red box", "the blue box")  # one sentence, filled in two ways
    request = Request((), continuations=tuple(Continuation(" is seven", prompt=text) for text in contexts))
    found = answers(loaded, [request, *(choice(text, " is seven", raw=True) for text in contexts)])
    assert [one.logprob for one in found[0].likelihoods] == pytest.approx(
        [response.likelihoods[0].logprob for response in found[1:]], abs=1e-4
    )


def test_a_text_alone_follows_the_start_token(loaded: tuple[Any, Any]) -> None:
    made, tokenizer = loaded
    text = "the red box is seven"
    (found,) = answers(loaded, [Request((), continuations=(Continuation(text),))])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert found.likelihoods[0].logprob == pytest.approx(alone(made, Passage([1, *ids], 1))[0], abs=1e-4)
    assert found.likelihoods[0].tokens == len(ids)


def test_a_text_longer_than_the_window_is_read_in_windows(loaded: tuple[Any, Any]) -> None:
    made, tokenizer = loaded
    draw = random.Random(0)
    text = " ".join(draw.choice(WORDS) for _ in range(300))  # the window is 128
    (found,) = answers(loaded, [Request((), continuations=(Continuation(text),))])
    ids = [1, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    # tokens 1–128 after what stands before them, 129–256 after one token, 257–300 in the last 128
    parts = [Passage(ids[:129], 1), Passage(ids[128:257], 1), Passage(ids[172:301], 85)]
    assert found.likelihoods[0].logprob == pytest.approx(
        sum(alone(made, part)[0] for part in parts), abs=1e-3
    )
    assert found.likelihoods[0].tokens == 300


@given(st.integers(2, 60), st.integers(1, 20))
def test_windows_ask_for_each_token_once_and_are_full(length: int, window: int) -> None:
    tokens = list(range(length))
    windows = rolling_windows(tokens, window)
    assert [token for part, asked in windows for token in part[asked:]] == tokens[1:]
    assert all(len(part) - 1 == min(window, length - 1) for part, _ in windows[:1] + windows[-1:])
    assert all(asked >= 1 and len(part) - 1 <= window for part, asked in windows)


def test_windows_are_those_of_lm_eval() -> None:
    utils = pytest.importorskip("lm_eval.utils")
    for length in (3, 8, 9, 16, 17, 20):
        expected = [
            ([*context, *text], len(context))
            for context, text in map(
                utils.make_disjoint_window,
                utils.get_rolling_token_windows(
                    list(range(1, length)), prefix_token=0, max_seq_len=8, context_len=1
                ),
            )
        ]
        assert rolling_windows(list(range(length)), 8) == expected


def test_what_does_not_fit_the_window_is_not_cut(loaded: tuple[Any, Any]) -> None:
    long = " ".join(WORDS[i % 9] for i in range(126))
    fits, over = answers(
        loaded, [choice(long, " yes no now", raw=True), choice(long, " yes no now red", raw=True)]
    )
    assert fits.finish_reason == "stop"  # 126 + 3 tokens, of which the last one is not read
    assert over.finish_reason == "context_overflow"
    assert "126" in str(over.detail)
    assert "of 4 tokens" in str(over.detail)
    assert "128" in str(over.detail)
    assert over.likelihoods == ()


def test_a_text_without_tokens_is_an_error(loaded: tuple[Any, Any]) -> None:
    blank, fine = answers(loaded, [choice("help", " ", " yes"), choice("help", " yes", " no")])
    assert blank.failed
    assert "adds no token" in str(blank.detail)
    assert fine.likelihoods
    (nothing,) = answers(loaded, [Request((), continuations=(Continuation("", ""),))])
    assert nothing.failed


def test_out_of_memory_fails_a_request_with_its_continuation(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    supports_layouts(loaded[0])
    starved(monkeypatch, loaded[0], 0)
    (response,) = answers(loaded, [choice("help", " yes", " no")])
    assert response.failed
    assert "out of memory" in str(response.detail)
    assert response.likelihoods == ()


class Merging:
    """A tokenizer that joins letters in twos and adds a BOS; ids are the letters' code points."""

    bos_token_id = 1
    eos_token_id = 2
    chat_template = None

    def __call__(self, texts: list[str], *, add_special_tokens: bool, **kwargs: Any) -> dict[str, Any]:
        return {"input_ids": [[1] * add_special_tokens + self.ids(text) for text in texts]}

    def ids(self, text: str) -> list[int]:
        text = text.replace("<s>", "\x01")
        pairs = [text[at : at + 2] for at in range(0, len(text), 2)]
        return [sum(ord(letter) * 256**place for place, letter in enumerate(pair)) for pair in pairs]

    def decode(self, ids: list[int]) -> str:
        return {1: "<s>", 2: "</s>"}[ids[0]]


def test_tokenisation_is_that_of_lm_eval() -> None:
    interface = pytest.importorskip("lm_eval.api.model")
    tokenizer = Merging()

    class Peer(interface.TemplateLM):  # type: ignore[misc]
        backend = "causal"
        eot_token_id = 2
        prefix_token_id = 1
        loglikelihood_rolling = generate_until = None
        seen: list[Any]

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
            adds = add_special_tokens is None and not string.startswith("<s>")
            return tokenizer([string], add_special_tokens=adds)["input_ids"][0]  # type: ignore[no-any-return]

        def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> Any:
            self.seen = [(context, text) for _, context, text in requests]

    Peer.__abstractmethods__ = frozenset()
    pairs = [
        ("abc", "def"),  # the third letter joins the fourth
        ("ab  ", "cd"),  # blanks move
        ("abc\n", " d"),
        ("", "abc"),
        ("", "<s>abc"),
        ("<s>ab", "c"),
        ("x y", " z"),
    ]
    peer = Peer()
    instance = pytest.importorskip("lm_eval.api.instance").Instance
    peer.loglikelihood([instance("loglikelihood", {}, pair, 0) for pair in pairs], disable_tqdm=True)
    found = encode_continuations(tokenizer, [Wanted(*pair) for pair in pairs])
    assert [(list(one.prompt), list(one.text)) for one in found if one.problem is None] == [
        pair for pair, one in zip(peer.seen, found, strict=True) if one.problem is None
    ]
    assert (
        sum(one.problem is not None for one in found) <= 1
    )  # nothing is left of "abc" + "" where letters join


def test_many_texts_are_tokenised_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [Wanted(f"question {place // 4}", f" answer {place % 4}") for place in range(12)]
    expected = encode_continuations(Merging(), wanted)
    sizes: list[int] = []

    class Watched(Merging):
        def __call__(self, texts: list[str], **kwargs: Any) -> dict[str, Any]:
            sizes.append(len(texts))
            return super().__call__(texts, **kwargs)

    monkeypatch.setattr(continuations, "_BLOCK", 4)
    assert encode_continuations(Watched(), wanted) == expected
    assert sizes == [5, 5, 5]  # four wholes, and their prompt once


def test_a_templated_prompt_has_its_special_tokens_already() -> None:
    templated, plain = encode_continuations(
        Merging(), [Wanted("ab", "cd", templated=True), Wanted("ab", "cd", templated=False)]
    )
    assert list(plain.prompt) == [1, *templated.prompt]
    (twice,) = encode_continuations(Merging(), [Wanted("<s>\x02<s>\x02", "cd")])
    assert twice.problem is None
    doubled = Merging()
    doubled.ids = lambda text: [1, 1, *map(ord, text)]  # type: ignore[method-assign]
    assert "two BOS" in str(encode_continuations(doubled, [Wanted("<s>a", "bcd")])[0].problem)


def test_a_tokenizer_of_another_model_is_refused(loaded: tuple[Any, Any]) -> None:
    made = model(vocab_size=12, pad_token_id=0)
    with pytest.raises(CheckpointError, match="do not belong together"):
        list(score(made, loaded[1], [choice("the red box", " yes")]))


# --- the backend ---------------------------------------------------------------------------------------


def test_the_backend_answers_both_kinds_and_keeps_adapters_apart(folder: Path) -> None:
    backend = HFBackend(BackendOptions(root=folder, state=folder / ".harness"))
    asked = [
        choice("the red box is", " seven", " blue"),
        Request((Message("user", "the red box is"),), Sampling(max_tokens=4)),
        choice("the blue box is", " seven", " blue"),
    ]
    found = {}
    for name in ("base", "one", "base"):
        responses = dict(backend.generate(backend.resolve(name, name), asked))
        assert sorted(responses) == [0, 1, 2]
        assert not responses[1].likelihoods
        numbers = [one.logprob for index in (0, 2) for one in responses[index].likelihoods]
        assert found.setdefault(name, numbers) == pytest.approx(numbers)
    assert found["base"] != pytest.approx(found["one"], abs=1e-2)
    alone = HFBackend(BackendOptions(root=folder, state=folder / ".harness"))
    fresh = dict(alone.generate(alone.resolve("one", "one"), asked))
    assert [one.logprob for index in (0, 2) for one in fresh[index].likelihoods] == pytest.approx(
        found["one"]
    )


@pytest.mark.parametrize("batching", ["cascade", "left-padded"])
def test_choices_are_read_as_the_numerics_say(
    folder: Path, batching: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a model that cannot share beginnings, its baseline does not either."""
    options = BackendOptions(root=folder, state=folder / ".harness", arguments={"batching": batching})
    backend = HFBackend(options)
    checkpoint = backend.resolve("base", "base")
    words = " ".join(WORDS[place % 9] for place in range(60))
    asked = [choice(f"{words} {word}", " seven", " blue box", raw=True) for word in WORDS[:10]]
    counts: list[int] = []
    load = backend._model

    def watched(checkpoint: Any) -> Any:
        loaded = load(checkpoint)
        counts.extend([0] * (not counts))
        forward = loaded.model.forward

        def counted(*args: Any, **kwargs: Any) -> Any:
            counts[0] += kwargs["input_ids"].numel()
            return forward(*args, **kwargs)

        monkeypatch.setattr(loaded.model, "forward", counted)
        return loaded

    monkeypatch.setattr(backend, "_model", watched)
    assert len(dict(backend.generate(checkpoint, asked))) == len(asked)
    once, each = 60 + 10 * 2, 10 * (60 + 1)
    assert counts[0] == once if batching == "cascade" else counts[0] >= each
