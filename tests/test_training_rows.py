"""Training rows: three shapes read strictly into one, duplicates dropped, groups kept whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared_data

from harness.data.split import divide, drop_duplicates
from harness.data.training_rows import TrainingExample, normalised_prompt, read_rows
from harness.errors import TrainingDataError

ASK = {"role": "user", "content": "Where is my order?"}
ANSWER = {"role": "assistant", "content": "On its way."}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def example(prompt: str, answer: str = "Yes.", line: int = 1, **fields: Any) -> TrainingExample:
    messages = ({"role": "user", "content": prompt}, {"role": "assistant", "content": answer})
    return TrainingExample(messages, 0, "rows.jsonl", line, fields=fields)


def test_three_shapes_become_one(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl",
        {"messages": [ASK, ANSWER], "cluster": "C1"},
        {"prompt": "Where is my order?", "completion": "On its way."},
        {"prompt": [ASK], "completion": [ANSWER]},
        {"instruction": "Translate.", "input": "Haus", "output": "house"},
        {"instruction": "Say hi.", "input": "", "output": "hi"},
    )
    rows = read_rows(path).examples
    assert [row.line for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0].fields == {"cluster": "C1"}
    assert rows[0].messages == rows[1].messages == rows[2].messages
    assert rows[3].messages[0]["content"] == "Translate.\n\nHaus"
    assert rows[4].messages[0]["content"] == "Say hi."


def test_only_the_completion_is_trained(tmp_path: Path) -> None:
    earlier = [ASK, ANSWER, {"role": "user", "content": "When?"}]
    rows = read_rows(
        write(
            tmp_path / "rows.jsonl",
            {"prompt": earlier, "completion": [{"role": "assistant", "content": "Soon."}]},
            {"messages": [*earlier, {"role": "assistant", "content": "Soon."}]},
        )
    ).examples
    assert rows[0].trained == (3,)
    assert rows[1].trained == (1, 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "x"}, "expected messages; prompt and completion; or instruction and output"),
        (
            {"messages": [ASK, ANSWER], "prompt": "x", "completion": "y"},
            "could be messages or prompt_completion",
        ),
        ({"messages": []}, "must be a list of messages, not an empty list"),
        ({"messages": "hi"}, "must be a list of messages, not a string"),
        ({"messages": [ASK]}, "has no assistant turn"),
        ({"messages": [ANSWER]}, "starts with an assistant turn"),
        ({"messages": [ASK, ANSWER, ASK]}, "ends with a user turn"),
        ({"messages": [ASK, {"role": "bot", "content": "x"}]}, "role 'bot'; expected one of"),
        ({"messages": [ASK, {"role": "assistant"}]}, r"messages\[1\]\.content must be a string, not null"),
        ({"messages": [ASK, {"role": "assistant", "content": "  "}]}, r"messages\[1\]\.content is empty"),
        ({"messages": [ASK, {**ANSWER, "weight": 0}]}, "unknown key 'weight'"),
        ({"messages": [ASK, {"role": "system", "content": "x"}, ANSWER]}, "must come first"),
        ({"prompt": 3, "completion": "x"}, "'prompt' must be a list of messages, not a number"),
        ({"prompt": "x", "completion": ""}, "'completion' is empty"),
        ({"prompt": "x", "completion": [ASK]}, "has no assistant turn to train on"),
        ({"instruction": "x", "output": "y", "input": 3}, "'input' must be a string, not a number"),
        ({"messages": [ASK, ANSWER], "tools": "none"}, "'tools' must be a list"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "rows.jsonl", {"messages": [ASK, ANSWER]}, row)
    with pytest.raises(TrainingDataError, match=message) as caught:
        read_rows(path, name="data/rows.jsonl")
    assert str(caught.value).startswith("data/rows.jsonl:2: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"prompt": "a", "completion": "b"}\n{"prompt": "c", "comple', ":2: not JSON.*cut off"),
        (b'{"prompt": "caf\xe9", "completion": "b"}\n', ":1: not UTF-8"),
        (b'{"prompt": "a", "prompt": "b", "completion": "c"}\n', ":1: the key 'prompt' appears twice"),
        (b'{"prompt": ' + b"[" * 100_000 + b"\n", ":1: .*nested more than"),
        (b'{"prompt": "a", "completion": "b", "n": ' + b"9" * 5000 + b"}\n", ":1: an integer of 5000 digits"),
        (b'{"prompt": "a", "completion": "b", "n": NaN}\n', ":1: NaN is not JSON"),
        (b"[1, 2]\n", ":1: expected a JSON object"),
        (b"\n\n", ": has no rows"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(TrainingDataError, match=r"data/rows\.jsonl" + message):
        read_rows(path, name="data/rows.jsonl")


def test_a_byte_order_mark_and_crlf_change_nothing(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.jsonl", {"messages": [ASK, ANSWER]})
    marked = tmp_path / "marked.jsonl"
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n"))
    assert read_rows(marked).examples[0].messages == read_rows(plain).examples[0].messages
    assert read_rows(marked).sha256 != read_rows(plain).sha256


def test_exact_duplicates_are_dropped_and_counted() -> None:
    rows = [example("a"), example("a", line=2), example("a", "No.", line=3), example("A", line=4)]
    kept, dropped = drop_duplicates(rows)
    assert [row.line for row in kept] == [1, 3, 4]
    assert dropped == 1


def test_prompts_compare_by_what_is_asked() -> None:
    assert normalised_prompt(example("Where  is\nit?")) == normalised_prompt(example("where is it?", "No."))
    assert normalised_prompt(example("ﬁne")) == normalised_prompt(example("fine"))
    assert normalised_prompt(example("a")) != normalised_prompt(example("b"))


@given(
    groups=st.lists(st.integers(0, 12), min_size=30, max_size=80),
    fraction=st.floats(0.1, 0.5),
    seed=st.integers(0, 9),
)
def test_no_group_is_ever_divided(groups: list[int], fraction: float, seed: int) -> None:
    rows = [example(f"q{index}", group=str(group)) for index, group in enumerate(groups)]
    try:
        division = divide(rows, fraction=fraction, group="group", seed=seed)
    except TrainingDataError:
        assert (
            min(groups.count(group) for group in set(groups)) > 2 * fraction * len(rows)
            or len(set(groups)) == 1
        )
        return
    train = {row.fields["group"] for row in division.train}
    validation = {row.fields["group"] for row in division.validation}
    assert train
    assert validation
    assert not train & validation
    assert len(division.train) + len(division.validation) == len(rows)
    assert divide(rows, fraction=fraction, group="group", seed=seed) == division


def test_rows_with_one_prompt_stay_together_by_default() -> None:
    rows = [example(f"q{index // 3}", f"a{index}") for index in range(60)]
    division = divide(rows, fraction=0.2, group=None, seed=0)
    train = {row.messages[0]["content"] for row in division.train}
    validation = {row.messages[0]["content"] for row in division.validation}
    assert not train & validation
    assert len(division.validation) == 12
    assert division.groups == 20


def test_groups_may_lie_in_metadata() -> None:
    rows = [example(f"q{index}", metadata={"customer": index // 5}) for index in range(50)]
    assert divide(rows, fraction=0.2, group="metadata.customer", seed=1).validation_groups == 2


def test_a_split_that_cannot_be_made_is_refused() -> None:
    one_group = [example(f"q{index}", group="all") for index in range(10)]
    with pytest.raises(TrainingDataError, match="cannot validate on 20% of 10 rows"):
        divide(one_group, fraction=0.2, group="group", seed=0)
    with pytest.raises(TrainingDataError, match=r"rows\.jsonl:1: has no group 'customer'"):
        divide(one_group, fraction=0.2, group="customer", seed=0)


def test_a_prompt_on_both_sides_is_a_leak() -> None:
    rows = [example(f"q{index % 10}", f"a{index}", index + 1, group=str(index)) for index in range(40)]
    with pytest.raises(TrainingDataError, match=r"rows\.jsonl:\d+: has the prompt of rows\.jsonl:\d+"):
        divide(rows, fraction=0.25, group="group", seed=0)


def test_adding_rows_moves_few_others() -> None:
    rows = [example(f"q{index}", line=index) for index in range(200)]
    before = {row.line for row in divide(rows, fraction=0.1, group=None, seed=0).validation}
    more = [*rows, *(example(f"new{index}", line=1000 + index) for index in range(20))]
    after = {row.line for row in divide(more, fraction=0.1, group=None, seed=0).validation}
    assert len(before - after) <= 6


def test_real_questions_are_read_and_divided(tmp_path: Path) -> None:
    lines = (shared_data("gsm8k") / "items.jsonl").read_text(encoding="utf-8").splitlines()[:300]
    items = [json.loads(line) for line in lines]
    pairs = ({"prompt": item["question"], "completion": item["answer"]} for item in items)
    read = read_rows(write(tmp_path / "gsm8k.jsonl", *pairs)).examples
    assert len(read) == 300
    division = divide(read, fraction=0.1, group=None, seed=0)
    assert len(division.validation) == 30
