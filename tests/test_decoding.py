"""Decoding: every row gets the tokens that it would get alone, whatever happens around it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_models import save_model

from harness.inference import cascade_layouts
from harness.inference.cascade import decode_cascade
from harness.inference.key_values import SlotCache
from harness.inference.memory import Limits
from harness.inference.padded import decode_padded
from harness.inference.rows import Decoded, Row
from harness.inference.shared_prefixes import prefix_groups
from harness.inference.token_choice import TokenChooser

Decode = Callable[..., Iterator[tuple[int, Decoded]]]
EOS = frozenset({2})
CLOSE = 1e-4
PADDED = functools.partial(decode_padded, pad_id=0)
BOTH = pytest.mark.parametrize("decode", [decode_cascade, PADDED], ids=["cascade", "left-padded"])
SHAPE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,
}


class NoTokenizer:
    """For rows without stop strings: nothing is decoded."""

    all_special_ids: tuple[int, ...] = ()
    eos_token_id: int | None = None
    bos_token_id: int | None = None
    pad_token_id: int | None = None


def made(name: str = "Llama") -> Any:
    torch.manual_seed(0)
    changes = {"ffn_dim": 64, "word_embed_proj_dim": 32} if name == "OPT" else {}
    config = getattr(transformers, f"{name}Config")(**{**SHAPE, **changes})
    kind = {"GPT2": "GPT2LMHeadModel"}.get(name, f"{name}ForCausalLM")
    return getattr(transformers, kind)(config).eval()


@pytest.fixture(scope="module")
def llama() -> Any:
    return made()


def reference(model: Any, row: Row) -> tuple[list[int], float]:
    """Return what `model.generate` continues a row with at batch size 1, and the smallest top-2 gap."""
    found = model.generate(
        torch.tensor([list(row.prompt)]),
        attention_mask=torch.ones(1, len(row.prompt), dtype=torch.long),
        max_new_tokens=row.max_tokens,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
    )
    tokens: list[int] = found.sequences[0, len(row.prompt) :].tolist()
    best = torch.stack([logits[0].topk(2).values for logits in found.logits])
    return tokens[:-1] if tokens[-1] in EOS else tokens, float((best[:, 0] - best[:, 1]).min())


def decoded(
    decode: Decode, model: Any, rows: Mapping[int, Row], limits: Limits | None = None
) -> dict[int, Decoded]:
    pairs = list(decode(model, NoTokenizer(), rows, eos_ids=EOS, limits=limits or Limits(16)))
    assert sorted(index for index, _ in pairs) == sorted(rows)  # each exactly once
    return dict(pairs)


def prompts(count: int, *, shared: int = 20, seed: int = 0) -> dict[int, Row]:
    """Rows of several lengths, two thirds of which begin alike."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(length: int) -> list[int]:
        return torch.randint(3, 64, (length,), generator=generator).tolist()

    beginnings = [drawn(shared), drawn(shared), []]
    return {
        index: Row([*beginnings[index % 3], *drawn(1 + 5 * index % 17)], 4 + 7 * index % 13)
        for index in range(count)
    }


@BOTH
@pytest.mark.parametrize("name", ["Llama", "Qwen2", "GPT2", "OPT", "Phi3"])
def test_greedy_tokens_are_those_of_generate_alone(name: str, decode: Decode) -> None:
    model, rows = made(name), prompts(24)
    found = decoded(decode, model, rows)
    close = 0
    for index, row in rows.items():
        expected, gap = reference(model, row)
        close += gap < CLOSE
        if gap >= CLOSE:
            assert list(found[index].tokens) == expected
            assert found[index].finish_reason == ("length" if len(expected) == row.max_tokens else "stop")
    print(f"{name}: {close} of {len(rows)} prompts have a step with a top-2 gap below {CLOSE}")
    assert close < len(rows) / 4
    assert len({one.tokens for one in found.values()}) > len(rows) / 2  # the model answers different things


class Starvation:
    """Memory that runs out at chosen passes, or whenever more than so many rows or prompts are computed."""

    def __init__(self, model: Any, *, passes: Sequence[int] = (), most: int | None = None) -> None:
        self.passes, self.most = frozenset(passes), most
        self.count = self.failed = 0
        self.sizes: list[int] = []
        self._handle = model.register_forward_pre_hook(self._starved, with_kwargs=True)
        self._inside = model.model.layers[1].register_forward_pre_hook(self._in_mid_pass)

    def _starved(self, module: object, args: object, given: dict[str, Any]) -> None:
        self.count += 1
        rows, tokens = given["input_ids"].shape
        self.sizes.append(tokens if type(given.get("layout")).__name__ == "TokenLayout" else rows)
        if self.most is not None and self.sizes[-1] > self.most:
            self._fail()

    def _in_mid_pass(self, module: object, args: object) -> None:
        if self.count in self.passes:  # some layers have their keys and values already
            self._fail()

    def _fail(self) -> None:
        self.failed += 1
        raise torch.OutOfMemoryError("out of memory")

    def __enter__(self) -> Starvation:
        return self

    def __exit__(self, *raised: object) -> None:
        self._handle.remove()
        self._inside.remove()


@BOTH
def test_memory_that_runs_out_costs_time_and_no_answer(llama: Any, decode: Decode) -> None:
    rows = prompts(24)
    expected = decoded(decode, llama, rows)
    ended = 0
    with Starvation(llama, most=5) as starvation:
        found = {}
        for index, one in decode(llama, NoTokenizer(), rows, eos_ids=EOS, limits=Limits(16)):
            assert index not in found  # what is done stays done
            found[index] = one
            ended += 1
    assert starvation.failed
    assert max(starvation.sizes[starvation.sizes.index(4) :]) <= 5
    assert {index: one.tokens for index, one in found.items()} == {
        index: one.tokens for index, one in expected.items()
    }
    assert ended == len(rows)


@BOTH
def test_when_nothing_fits_every_row_is_an_error_and_the_call_ends(llama: Any, decode: Decode) -> None:
    with Starvation(llama, most=0):
        found = decoded(decode, llama, prompts(6))
    assert {one.finish_reason for one in found.values()} == {"error"}


@BOTH
def test_another_error_is_not_taken_for_full_memory(llama: Any, decode: Decode) -> None:
    def broken(module: object, args: object) -> None:
        raise RuntimeError("expected scalar type Float but found Half")

    handle = llama.register_forward_pre_hook(broken)
    try:
        with pytest.raises(RuntimeError, match="expected scalar type"):
            decoded(decode, llama, prompts(3))
    finally:
        handle.remove()


@pytest.mark.parametrize("name", ["shrink", "move", "reserve"])
def test_memory_that_runs_out_while_slots_are_given_up_or_moved(
    llama: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rows = prompts(24)
    expected = {index: one.tokens for index, one in decoded(decode_cascade, llama, rows).items()}
    original = getattr(SlotCache, name)
    failed: list[str] = []

    def once(self: SlotCache, *arguments: Any) -> None:
        if not failed:
            failed.append(name)
            raise torch.OutOfMemoryError("out of memory")
        original(self, *arguments)

    monkeypatch.setattr(SlotCache, name, once)
    with Starvation(llama, passes=[9] if name == "shrink" else []):  # what has run out is given up
        found = decoded(decode_cascade, llama, rows)
    assert failed
    assert {index: one.tokens for index, one in found.items()} == expected


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    count=st.integers(1, 14),
    shared=st.integers(0, 40),
    seed=st.integers(0, 2**16),
    slots=st.integers(1, 16),
    tokens=st.none() | st.integers(1, 400),
    pack=st.integers(1, 80),
    failures=st.sets(st.integers(1, 40), max_size=6),
)
@example(count=14, shared=30, seed=1, slots=16, tokens=None, pack=64, failures={1, 2, 3, 4, 5})
def test_neither_limits_nor_neighbours_nor_full_memory_change_a_row(
    llama: Any,
    count: int,
    shared: int,
    seed: int,
    slots: int,
    tokens: int | None,
    pack: int,
    failures: set[int],
) -> None:
    rows = prompts(count, shared=shared, seed=seed)
    sampled = {
        index: dataclasses.replace(row, temperature=0.8, top_p=0.9, seed=7 * index) if index % 2 else row
        for index, row in rows.items()
    }
    alone = {index: decoded(PADDED, llama, {index: row}, Limits(1))[index] for index, row in sampled.items()}
    with Starvation(llama, passes=sorted(failures)):
        found = decoded(decode_cascade, llama, sampled, Limits(slots, tokens, pack))
    for index, one in found.items():
        if one.finish_reason != "error":  # a row alone may have met full memory
            assert (one.tokens, one.finish_reason) == (alone[index].tokens, alone[index].finish_reason)
    assert len(failures) or all(one.finish_reason != "error" for one in found.values())


def test_blocks_of_slots_change_no_row(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = prompts(11, shared=20, seed=3)
    expected = decoded(decode_cascade, llama, rows)
    blocks = []
    own = cascade_layouts._attend_own

    def counted(query: torch.Tensor, *given: Any) -> torch.Tensor:
        blocks.append(len(query))
        return own(query, *given)

    monkeypatch.setattr(cascade_layouts, "_attend_own", counted)
    monkeypatch.setattr(cascade_layouts, "_CPU_BLOCK", 1)
    monkeypatch.setattr(cascade_layouts, "_LEAST_BLOCK", 3)
    found = decoded(decode_cascade, llama, rows)
    assert {index: one.tokens for index, one in found.items()} == {
        index: one.tokens for index, one in expected.items()
    }
    assert max(blocks) == 3


@BOTH
def test_a_row_that_never_stops_ends_at_its_limit_and_holds_nobody_up(llama: Any, decode: Decode) -> None:
    rows = {**prompts(12), 99: Row([5, 6, 7], 200)}
    found = list(decode(llama, NoTokenizer(), rows, eos_ids=frozenset(), limits=Limits(4)))
    never = dict(found)[99]
    assert (never.finish_reason, len(never.tokens)) == ("length", 200)
    assert sorted(index for index, _ in found) == sorted(rows)
    if decode is decode_cascade:  # the others used the other slots meanwhile
        assert found[-1][0] == 99


@BOTH
def test_equal_prompts_are_read_once_and_drawn_apart(llama: Any, decode: Decode) -> None:
    prompt = prompts(1)[0].prompt
    rows = {n: Row(prompt, 10, temperature=1.5, seed=n) for n in range(8)}
    together = decoded(decode, llama, rows)
    assert len({one.tokens for one in together.values()}) > 4
    for index, row in rows.items():
        assert decoded(decode, llama, {index: row})[index].tokens == together[index].tokens


def test_a_draw_follows_the_distribution_and_stays_in_the_nucleus() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    rows = {n: Row([1], 1, temperature=0.5, top_p=1.0 if n < 4000 else 0.9, seed=n) for n in range(8000)}
    chooser = TokenChooser(rows)
    drawn = chooser.choose(logits.expand(len(rows), -1), list(rows), [0] * len(rows))
    expected = (logits[0] / 0.5).softmax(0)  # 0.865, 0.117, 0.016, 0.002
    for token in range(4):
        share = drawn[:4000].count(token) / 4000
        assert abs(share - float(expected[token])) < 4 * float((expected[token] / 4000) ** 0.5)
    assert set(drawn[4000:]) == {0, 1}


token_lists = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=25)


@settings(max_examples=200, deadline=None)
@given(token_lists, st.integers(2, 5), st.integers(1, 4))
def test_groups_of_prefixes_hold_every_row_once(
    token_lists: list[list[int]], least_rows: int, least_tokens: int
) -> None:
    asked = dict(enumerate(token_lists))
    groups = prefix_groups(asked, least_rows=least_rows, least_tokens=least_tokens)
    assert sorted(index for group in groups for index in group.rows) == sorted(asked)
    for place, group in enumerate(groups):
        before: Sequence[int] = () if group.parent is None else groups[group.parent].prefix
        assert group.parent is None or group.parent < place
        assert list(group.prefix[: len(before)]) == list(before)
        assert not group.prefix or len(group.prefix) >= len(before) + least_tokens
        for index in group.rows:
            assert asked[index][: len(group.prefix)] == list(group.prefix)
            assert len(asked[index]) > len(group.prefix)


def test_a_saved_model_decodes_the_same(tmp_path: Path) -> None:
    from harness.inference.loading import load_model

    model = load_model(save_model(tmp_path / "m"), device="cpu", dtype="float32", attention="sdpa")
    rows = {n: Row([1, 5 + n, 7], 6) for n in range(4)}
    one, other = (decoded(decode, model, rows) for decode in (decode_cascade, PADDED))
    assert {n: d.tokens for n, d in one.items()} == {n: d.tokens for n, d in other.items()}
