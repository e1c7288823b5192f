"""Starting golden sets, adding cases, comparing versions, and finding cases in training data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.case_result import CaseResult, Role
from harness.cases import Case, Message, Outcome, ToolCall
from harness.cli.main import app
from harness.errors import GoldenSetError
from harness.golden_sets.case_row import case_problems, case_row, parse_case
from harness.golden_sets.diff import diff_cases
from harness.golden_sets.draft import add_rows, new_golden, rows_from_results
from harness.golden_sets.overlap import TextPassage, find_contamination, near_duplicates, passages_of
from harness.golden_sets.read import load_golden
from harness.golden_sets.release import lock_golden, release_golden
from harness.likelihood import Continuation

LONG = "Please tell me how many working days it takes until the money of order {} is back on my account"


def case(name: str, text: str, **fields: object) -> Case:
    return Case(name, (Message("user", text),), **fields)  # type: ignore[arg-type]


# --- rows ----------------------------------------------------------------------------------------------

texts = st.text(min_size=1, max_size=8)
cases = st.builds(
    Case,
    id=st.just("a"),
    messages=st.sampled_from(
        [
            (Message("user", "Hi"),),
            (Message("system", "Be kind."), Message("user", "Hi")),
            (
                Message("user", "Hi"),
                Message("assistant", "", (ToolCall("look", {"x": 1}, "c1"),)),
                Message("tool", "42", tool_call_id="c1"),
            ),
        ]
    ),
    target=st.one_of(st.none(), st.just("x"), st.just(4), st.just({"a": [1]})),
    checks=st.sampled_from([(), ({"type": "contains", "value": "x"},)]),
    tags=st.sampled_from([(), ("easy", "lang:en")]),
    cluster=st.sampled_from([None, "c"]),
    must_pass=st.booleans(),
    accepts=st.lists(texts, max_size=2).map(tuple),
    rejects=st.lists(texts, max_size=2).map(tuple),
    metadata=st.sampled_from([{}, {"k": [1, None]}]),
    raw=st.booleans(),
)


@given(cases)
def test_a_case_is_what_its_row_says(made: Case) -> None:
    row = json.loads(json.dumps(case_row(made)))
    assert case_problems(row) == []
    assert parse_case(row) == made


@pytest.mark.parametrize(
    "made",
    [
        Case(
            "a", (Message("user", "Hi"),), turns=("And now?",), checks=({"type": "contains", "value": "x"},)
        ),
        Case(
            "a", (Message("user", "Q"),), target=1, continuations=(Continuation("x"), Continuation("y", "P"))
        ),
        Case("a", (), continuations=(Continuation("a whole text"),), raw=True),
    ],
)
def test_turns_and_continuations_survive_their_row(made: Case) -> None:
    assert parse_case(case_row(made)) == made


# --- starting and adding -------------------------------------------------------------------------------


def test_a_new_set_can_be_tested_and_locked_at_once(tmp_path: Path) -> None:
    new_golden("mine", root=tmp_path, description="Sums.")
    result = CliRunner().invoke(app, ["golden", "test", "mine", "--golden", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert lock_golden("mine", roots=[tmp_path]).locked
    with pytest.raises(GoldenSetError, match="is there already"):
        new_golden("mine", root=tmp_path)
    with pytest.raises(GoldenSetError, match="names no golden set"):
        new_golden("../mine", root=tmp_path)


def test_adding_to_an_open_set_goes_to_its_file_and_to_a_locked_one_to_a_draft(tmp_path: Path) -> None:
    new_golden("mine", root=tmp_path)
    row = {"id": "b", "input": "What is 1 + 1?", "target": 2}
    done = add_rows("mine", [row, row], roots=[tmp_path])
    assert (done.added, done.known, done.draft) == (("b",), ("b",), False)
    locked = lock_golden("mine", roots=[tmp_path])
    done = add_rows("mine", [{**row, "id": "c"}], roots=[tmp_path])
    assert done.draft
    assert load_golden("mine", roots=[tmp_path]).digest == locked.digest
    again = add_rows("mine", [{**row, "id": "d"}, {**row, "id": "c"}], roots=[tmp_path])
    assert (again.added, again.known) == (("d",), ("c",))
    release_golden("mine", roots=[tmp_path], source=done.path)
    assert [each.id for each in load_golden("mine/v2", roots=[tmp_path])] == ["example-001", "b", "c", "d"]


def test_separators_inside_a_text_are_no_line_ends(tmp_path: Path) -> None:
    new_golden("mine", root=tmp_path)
    cases_file = tmp_path / "mine/v1/cases.jsonl"
    before = json.dumps({"id": "a", "input": "one\u2028two\x85three", "target": 1}, ensure_ascii=False) + "\n"
    cases_file.write_text(before, encoding="utf-8")
    add_rows("mine", [{"id": "b", "input": "x", "target": 1}], roots=[tmp_path])
    assert cases_file.read_text("utf-8").startswith(before)
    cases_file.write_text(before + "{", encoding="utf-8")
    with pytest.raises(GoldenSetError, match=r"cases.jsonl:2: not JSON"):
        add_rows("mine", [{"id": "b", "input": "x", "target": 1}], roots=[tmp_path])


def test_of_several_answers_the_one_that_failed_is_rejected() -> None:
    made = case("a", "What is 1 + 1?", target=2)
    result = dataclasses.replace(result_of(made, ""), outputs=("2", "", "3"))
    (row,) = rows_from_results([result], {"a": made}, run="r1")
    assert row["rejects"] == ["3"]


def test_a_row_that_is_no_case_adds_nothing(tmp_path: Path) -> None:
    new_golden("mine", root=tmp_path)
    before = (tmp_path / "mine/v1/cases.jsonl").read_bytes()
    with pytest.raises(GoldenSetError, match="found none of them"):
        add_rows("mine", [{"id": "b", "input": "x", "target": 1}, {"id": "c"}], roots=[tmp_path])
    assert (tmp_path / "mine/v1/cases.jsonl").read_bytes() == before


def result_of(made: Case, output: str, outcome: Outcome = Outcome.MISSED) -> CaseResult:
    return CaseResult(
        "s", "other/v1", "t", made.id, made.content_hash, "ckpt", Role.CANDIDATE, outcome, (0.0,), (output,)
    )


def test_a_failure_becomes_a_case_that_rejects_the_answer() -> None:
    made = case("a", "What is 1 + 1?", target=2, accepts=("2",))
    (row,) = rows_from_results([result_of(made, "3")], {"a": made}, run="r1")
    assert row["rejects"] == ["3"]
    assert row["metadata"]["from_run"]["run"] == "r1"
    (row,) = rows_from_results([result_of(made, "It is 2.")], {"a": made}, run="r1")
    assert "rejects" not in row  # its checks let the answer pass: a reviewer must decide
    assert row["metadata"]["from_run"]["output"] == "It is 2."


def test_a_failure_of_a_case_that_was_edited_since_is_refused() -> None:
    made = case("a", "What is 1 + 1?", target=2)
    with pytest.raises(GoldenSetError, match="another one"):
        rows_from_results([result_of(made, "3")], {"a": case("a", "What is 1 + 2?", target=3)}, run="r1")
    with pytest.raises(GoldenSetError, match="is not in other/v1"):
        rows_from_results([result_of(made, "3")], {}, run="r1")


# --- comparing -----------------------------------------------------------------------------------------


def test_a_difference_names_fields_and_whether_scores_stay_comparable() -> None:
    before = [case("a", "x", target=1), case("b", "y", target=1), case("c", "z", target=1)]
    after = [case("b", "y", target=2), case("c", "z", target=1, tags=("hard",)), case("d", "w", target=1)]
    found = diff_cases(before, after)
    assert (found.added, found.removed) == (("d",), ("a",))
    assert [(change.id, list(change.fields), change.comparable) for change in found.changed] == [
        ("b", ["target"], False),
        ("c", ["tags"], True),
    ]
    assert not diff_cases(before, list(reversed(before)))


def test_near_duplicates_are_found_and_only_they() -> None:
    made = [
        case("a", LONG.format("4711")),
        case("b", LONG.format("4712")),
        case("c", "Something else entirely, which is about the weather in the north of the country in May"),
    ]
    found = near_duplicates(made)
    assert [(pair.first, pair.second) for pair in found] == [("a", "b")]
    assert 0.8 < found[0].similarity < 1
    assert near_duplicates([dataclasses.replace(each, cluster="refund-days") for each in made]) == []


@given(
    texts=st.lists(st.text("ab", min_size=1, max_size=14), max_size=12),
    threshold=st.sampled_from([0.05, 0.3, 0.55, 2 / 3, 0.8, 1.0]),
)
def test_every_pair_that_is_near_is_found(texts: list[str], threshold: float) -> None:
    """Against all pairs, compared one by one."""
    made = [case(f"c{number}", text) for number, text in enumerate(texts)]
    grams = [{text[start : start + 5] for start in range(max(len(text) - 4, 1))} for text in texts]
    wanted = {
        (f"c{first}", f"c{second}")
        for second in range(len(texts))
        for first in range(second)
        if len(grams[first] & grams[second]) / len(grams[first] | grams[second]) >= threshold
    }
    assert {(pair.first, pair.second) for pair in near_duplicates(made, threshold)} == wanted


def test_a_pair_right_at_the_threshold_is_found() -> None:
    """14 of 25 5-grams: to floats, 0.56 * 25 is more than 14."""
    alphabet = "abcdefghijklmnopqrstuvwxyz123"
    (pair,) = near_duplicates([case("whole", alphabet), case("part", alphabet[:18])], threshold=0.56)
    assert pair.similarity == 0.56


# --- contamination -------------------------------------------------------------------------------------


def found_in(question: str, training: str, **options: object) -> list[tuple[str, str]]:
    overlaps = find_contamination([case("a", question)], [TextPassage("t:1", training)], **options)  # type: ignore[arg-type]  # as given
    return [(overlap.kind, overlap.part) for overlap in overlaps]


def test_equal_texts_are_exact_whatever_their_case_and_blanks() -> None:
    assert found_in("What is  it?", "what is\nIT?") == [("exact", "input")]
    assert found_in("What is it?", "What was it?") == []


@pytest.mark.parametrize(
    "training",
    [
        "where is my refund",
        "User: Where is my refund?\nAssistant: On its way.",
        "### Question:  Where is my refund\n### Answer: On its way.",
        "<|im_start|>user\nWhere is my refund?<|im_end|>\n<|im_start|>assistant\nOn its way.",
        "<s>[INST] Where is my refund? [/INST] On its way.</s>",
    ],
)
def test_a_short_question_is_found_whatever_template_it_was_filled_into(training: str) -> None:
    assert found_in("Where is my refund?", training) == [("exact", "input")]
    assert found_in("Where is my parcel?", training) == []


def test_texts_whose_likelihood_is_asked_are_looked_for() -> None:
    page = LONG.format("4711")
    asked = [
        Case("page", (), continuations=(Continuation(page),), raw=True),
        Case("end", (Message("user", page.rpartition(" ")[0]),), continuations=(Continuation(" account"),)),
        Case("blank", (), continuations=(Continuation(" yes", page), Continuation(" no", page)), target=0),
        Case("other", (), continuations=(Continuation("Ships sail on the sea."),), raw=True),
    ]
    found = find_contamination(asked, [TextPassage("t:1", f"As said: {page}.")])
    assert [overlap.case_id for overlap in found] == ["page", "end", "blank"]
    assert [(pair.first, pair.second) for pair in near_duplicates([asked[0], asked[3]])] == []


def test_a_question_inside_a_longer_training_text_is_found_by_its_ngrams() -> None:
    question = LONG.format("4711")
    assert found_in(question, f"Dear team, {question.upper()}! Thanks a lot, and good bye.") == [
        ("n-gram", "input")
    ]
    assert found_in(question, " ".join(reversed(question.split()))) == []


def test_a_reworded_question_is_found_as_near() -> None:
    assert found_in(LONG.format("4711"), LONG.format("4712").replace("money", "MONEY")) == [("near", "input")]


def test_targets_count_only_where_asked() -> None:
    made = [case("a", "Why?", target="Because the policy says thirty days and not one day more than that.")]
    training = [TextPassage("t:1", made[0].target)]
    assert find_contamination(made, training) == []
    assert [o.part for o in find_contamination(made, training, targets=True)] == ["target"]


def test_every_text_of_a_row_counts_but_system_messages() -> None:
    row = {
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}],
        "prompt": [{"role": "user", "content": "P"}],
        "chosen": "C",
        "n": 3,
    }
    assert sorted(passage.text for passage in passages_of(row, "t:1")) == ["C", "P", "U"]


def test_contamination_is_an_error_that_names_case_and_line(tmp_path: Path) -> None:
    new_golden("mine", root=tmp_path / "golden")
    clean, leaked = tmp_path / "clean.jsonl", tmp_path / "leaked.jsonl"
    clean.write_text('{"prompt": "What is 3 + 4?", "completion": "7"}\n')
    question = load_golden("mine", roots=[tmp_path / "golden"]).cases[0].input
    row = {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "4"}]}
    leaked.write_text(clean.read_text() + json.dumps(row) + "\n")
    options = ["golden", "contamination", "--golden", str(tmp_path / "golden"), "--train"]
    assert CliRunner().invoke(app, [*options, str(clean)]).exit_code == 0
    for name, content, problem in [
        ("empty.jsonl", "", "empty.jsonl: holds no text to compare with"),
        ("numbers.jsonl", '{"n": 1}\n', "numbers.jsonl: holds no text to compare with"),
        ("train.parquet", "PAR1", "train.parquet is no JSON Lines and would not be compared"),
    ]:
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / "clean.jsonl").write_text(clean.read_text())
        (folder / name).write_text(content)
        refused = CliRunner().invoke(app, [*options, str(folder)])
        assert refused.exit_code != 0
        assert problem in str(refused.exception)
    result = CliRunner().invoke(app, [*options, str(leaked)])
    assert result.exit_code == 1
    assert "mine/v1 example-001: its input is in" in result.output
    assert "leaked.jsonl:2 (exact, 1.00)" in result.output
