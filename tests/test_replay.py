"""Recorded outputs: what a row may look like, which request it answers, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from harness.cases import Message, Request, Response, ToolCall
from harness.errors import CheckpointError, ConfigurationError
from harness.plugins.backends import replay as replay_module
from harness.plugins.backends.arguments import choice, own, seconds, whole_number
from harness.plugins.backends.replay import ReplayBackend
from harness.protocols import Backend, BackendOptions


def ask(text: str = "Hi", *, case_id: str | None = None, sample: int = 0) -> Request:
    return Request((Message("user", text),), sample=sample, case_id=case_id)


def backend(root: Path) -> ReplayBackend:
    return ReplayBackend(BackendOptions(root=root, state=root / ".harness"))


def recorded(root: Path, *rows: dict[str, Any] | bytes) -> Path:
    path = root / "outputs.jsonl"
    path.write_bytes(
        b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)
    )
    return path


def replay(root: Path, *requests: Request) -> list[Response]:
    replayer = backend(root)
    checkpoint = replayer.resolve("outputs.jsonl", "replay/outputs.jsonl")
    answers = dict(replayer.generate(checkpoint, requests))
    assert sorted(answers) == list(range(len(requests)))
    return [answers[index] for index in sorted(answers)]


def test_it_is_a_backend(tmp_path: Path) -> None:
    assert isinstance(backend(tmp_path), Backend)


def test_answers_by_case_id(tmp_path: Path) -> None:
    recorded(tmp_path, {"id": "a", "output": "A"}, {"id": "b", "output": ""})
    full, empty, missing = replay(tmp_path, ask(case_id="a"), ask(case_id="b"), ask(case_id="c"))
    assert full == Response("A", "stop")
    assert empty == Response("", "stop")
    assert missing.failed
    assert missing.detail == "no recorded output for case 'c' in outputs.jsonl"


def test_null_is_no_answer_and_empty_is_one(tmp_path: Path) -> None:
    recorded(tmp_path, {"id": "a", "output": None}, {"id": "b", "output": "text", "finish_reason": "error"})
    null, failed = replay(tmp_path, ask(case_id="a"), ask(case_id="b"))
    assert null.failed
    assert "outputs.jsonl:1" in str(null.detail)
    assert failed.failed
    assert failed.text == ""


def test_rows_with_one_id_are_its_samples_in_order(tmp_path: Path) -> None:
    recorded(tmp_path, *({"id": "a", "output": text} for text in ("first", "second")))
    first, second, third = replay(tmp_path, *(ask(case_id="a", sample=number) for number in range(3)))
    assert (first.text, second.text) == ("first", "second")
    assert third.failed
    assert "has 2 of the samples of case 'a', number 3 is missing" in str(third.detail)


def test_answers_by_prompt_where_no_id_matches(tmp_path: Path) -> None:
    conversation = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    recorded(tmp_path, {"messages": conversation, "output": "Because."}, {"input": "Who?", "output": "I."})
    messages = (Message("system", "Be brief."), Message("user", "Why?"))
    by_messages, by_input, other = replay(
        tmp_path, Request(messages, case_id="x"), ask("Who?", case_id="y"), ask("Why?")
    )
    assert by_messages.text == "Because."
    assert by_input.text == "I."
    assert other.failed
    assert other.detail == "no recorded output for this prompt in outputs.jsonl"


def test_an_input_does_not_answer_the_same_words_after_another_history(tmp_path: Path) -> None:
    recorded(tmp_path, {"input": "Why?", "output": "Because."}, {"input": "Rain?", "output": "Yes."})
    history = (Message("user", "Rain?"), Message("assistant", "Yes."), Message("user", "Why?"))
    assert replay(tmp_path, Request(history))[0].failed


def test_an_output_of_another_prompt_is_no_answer(tmp_path: Path) -> None:
    recorded(tmp_path, {"id": "a", "input": "Old question", "output": "Old answer"})
    assert replay(tmp_path, ask("Old question", case_id="a"))[0].text == "Old answer"
    changed = replay(tmp_path, ask("New question", case_id="a"))[0]
    assert changed.failed
    assert "answers another prompt (outputs.jsonl:1)" in str(changed.detail)


def test_a_list_answers_the_turns(tmp_path: Path) -> None:
    recorded(tmp_path, {"id": "a", "input": "One", "output": ["1", "2"], "finish_reason": "length"})
    turns = [Message("user", "One")]
    answers = []
    for follow_up in ("Two", "Three", None):
        answers += replay(tmp_path, Request(tuple(turns), case_id="a"))
        turns += [Message("assistant", answers[-1].text), Message("user", follow_up or "")]
    assert [(answer.text, answer.finish_reason) for answer in answers[:2]] == [("1", "stop"), ("2", "length")]
    assert answers[2].failed
    assert "asks for turn 3, outputs.jsonl:1 has 2" in str(answers[2].detail)


def test_one_recorded_answer_never_stands_for_the_second_turn(tmp_path: Path) -> None:
    recorded(tmp_path, {"id": "a", "output": "1"})
    history = (Message("user", "One"), Message("assistant", "1"), Message("user", "Two"))
    assert replay(tmp_path, Request(history, case_id="a"))[0].failed


def test_keeps_what_else_was_recorded(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}, "id": "c1"}
    recorded(
        tmp_path,
        {
            "id": "a",
            "output": "cut",
            "finish_reason": "max_tokens",
            "latency_ms": 12,
            "usage": {"input_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
            "model": "m-1",
            "note": "left alone",
        },
        {"id": "b", "output": "", "tool_calls": [call]},
    )
    cut, called = replay(tmp_path, ask(case_id="a"), ask(case_id="b"))
    assert cut == Response(
        "cut", "length", prompt_tokens=9, completion_tokens=5, latency_ms=12.0, model="m-1"
    )
    assert called.finish_reason == "tool_calls"
    assert called.tool_calls == (ToolCall("refund", {"order": 7}, "c1"),)


def test_the_fingerprint_is_the_files_digest(tmp_path: Path) -> None:
    path = recorded(tmp_path, {"id": "a", "output": "A"})
    checkpoint = backend(tmp_path).resolve("outputs.jsonl", "replay/outputs.jsonl")
    assert checkpoint.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.keyed_by_case
    assert (checkpoint.backend, checkpoint.name, checkpoint.path) == ("replay", "outputs", path.resolve())


def test_finds_the_file_from_the_root_then_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, here = tmp_path / "root", tmp_path / "here"
    root.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    path = recorded(here, {"id": "a", "output": "A"})
    assert backend(root).resolve("outputs.jsonl", "").path == path.resolve()
    nearer = recorded(root, {"id": "a", "output": "A"})
    assert backend(root).resolve("outputs.jsonl", "").path == nearer.resolve()
    assert backend(root).resolve(str(path), "").path == path.resolve()
    with pytest.raises(
        CheckpointError, match=r"replay/none\.jsonl: no such file; looked at .*root.* and .*here"
    ):
        backend(root).resolve("none.jsonl", "")
    with pytest.raises(CheckpointError, match="expected a JSON Lines file"):
        backend(tmp_path).resolve("root", "")


def test_a_file_that_changed_under_the_session_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path, {"id": "a", "output": "A"})
    checkpoint = backend(tmp_path).resolve("outputs.jsonl", "")
    path.write_text('{"id": "a", "output": "B"}\n', encoding="utf-8")
    with pytest.raises(CheckpointError, match="changed since this session started"):
        list(backend(tmp_path).generate(checkpoint, [ask(case_id="a")]))


def test_a_file_that_has_answered_is_only_hashed_by_the_next_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded(tmp_path, {"id": "a", "output": "A"})
    reads: list[Path] = []
    read = replay_module.read_recording

    def counted(path: Path) -> Any:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(replay_module, "read_recording", counted)
    backend(tmp_path).resolve("outputs.jsonl", "")
    first = backend(tmp_path)  # what was only looked at says nothing
    checkpoint = first.resolve("outputs.jsonl", "")
    assert len(reads) == 2
    list(first.generate(checkpoint, [ask(case_id="a")]))
    later = backend(tmp_path)
    assert later.resolve("outputs.jsonl", "") == checkpoint
    assert len(reads) == 2
    assert [answer.text for _, answer in later.generate(checkpoint, [ask(case_id="a")])] == ["A"]
    path.write_text('{"id": "a"}\n', encoding="utf-8")
    with pytest.raises(CheckpointError, match="has no `output`"):
        backend(tmp_path).resolve("outputs.jsonl", "")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'{"id": "b", "output": "B"', "not JSON"),
        (b'{"id": "b", "output": "caf\xe9"}', "not UTF-8"),
        (b'{"id": "b", "id": "c", "output": "B"}', "appears twice"),
        (b'{"id": "b", "output": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than"),
        (b'{"id": "b", "output": "B", "x": ' + b"9" * 5000 + b"}", "an integer of 5000 digits"),
        (b'["b", "B"]', "expected a JSON object"),
        ({"output": "B"}, "needs `id`, `input` or `messages`"),
        ({"id": "b"}, "has no `output`"),
        ({"id": "b", "completion": "B"}, "has no `output`; is it what you call 'completion'"),
        ({"id": 7, "output": "B"}, "`id` must be the case's id"),
        ({"id": "", "output": "B"}, "`id` must be the case's id"),
        ({"id": "b", "output": 7}, "`output` must be a string"),
        ({"id": "b", "output": []}, "`output` must be a string"),
        ({"id": "b", "output": [["B"]]}, "`output` must be a string"),
        ({"id": "b", "input": "?", "messages": [], "output": "B"}, "both `input` and `messages`"),
        ({"input": ["?"], "output": "B"}, "`input` must be a string"),
        ({"messages": [], "output": "B"}, "`messages` must be a list"),
        ({"messages": [{"role": "user"}], "output": "B"}, r"`messages\[0\]` must have"),
        ({"id": "b", "output": "B", "finish_reason": "lenght"}, r"`finish_reason` .*did you mean 'length'"),
        ({"id": "b", "output": "B", "latency_ms": -1}, "`latency_ms`"),
        ({"id": "b", "output": "B", "latency_ms": True}, "`latency_ms`"),
        ({"id": "b", "output": "B", "usage": 5}, "`usage` must be an object"),
        ({"id": "b", "output": "B", "usage": {"prompt_tokens": 1.5}}, "whole number of tokens"),
        ({"id": "b", "output": "B", "usage": {"prompt_tokens": 2**63}}, "whole number of tokens"),
        ({"id": "b", "output": "B", "tool_calls": {}}, "`tool_calls` must be a list"),
        ({"id": "b", "output": "B", "tool_calls": ["f"]}, r"`tool_calls\[0\]` must be an object"),
        (
            {"id": "b", "output": "B", "tool_calls": [{"name": "f", "arguments": "{"}]},
            "arguments of the call",
        ),
    ],
)
def test_a_malformed_row_is_refused_at_its_line(tmp_path: Path, row: Any, reason: str) -> None:
    raw = row if isinstance(row, bytes) else json.dumps(row).encode()
    path = recorded(tmp_path, {"id": "a", "output": "A"}, raw + b"\n", {"id": "z", "output": "Z"})
    with pytest.raises(CheckpointError, match=reason) as caught:
        backend(tmp_path).resolve("outputs.jsonl", "")
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_one_prompt_with_two_outputs_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path, {"input": "Q", "output": "A"}, {"input": "Q", "output": "A"})
    assert replay(tmp_path, ask("Q"))[0].text == "A"
    recorded(tmp_path, {"input": "Q", "output": "A"}, {"input": "Q", "output": "B"})
    with pytest.raises(
        CheckpointError, match=r"outputs\.jsonl:2: the same prompt as line 1 with another output"
    ):
        backend(tmp_path).resolve("outputs.jsonl", "")


def test_a_byte_order_mark_and_crlf_are_skipped(tmp_path: Path) -> None:
    recorded(tmp_path, b'\xef\xbb\xbf{"id": "a", "output": "A"}\r\n')
    assert replay(tmp_path, ask(case_id="a"))[0].text == "A"


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes) -> None:
    recorded(tmp_path, content)
    with pytest.raises(CheckpointError, match="holds no recorded outputs"):
        backend(tmp_path).resolve("outputs.jsonl", "")


def test_a_backends_own_key_wins_over_the_plain_one() -> None:
    given = {"timeout": "3", "openai.timeout": "4", "anthropic.timeout": "5", "device": "cpu"}
    assert own(given, "openai") == {"timeout": "4", "device": "cpu"}
    assert own(given, "hf") == {"timeout": "3", "device": "cpu"}


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "inf", "1e999"])
def test_a_duration_is_a_number_above_zero(text: str) -> None:
    assert seconds({}, "timeout", 60.0) == 60.0
    assert seconds({"timeout": "0.5"}, "timeout", 60.0) == 0.5
    with pytest.raises(ConfigurationError, match=f"-M timeout={text}: expected"):
        seconds({"timeout": text}, "timeout", 60.0)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "11", "1_0", "٣", "9" * 5000])
def test_a_count_is_a_whole_number_in_its_range(text: str) -> None:
    assert whole_number({}, "max_retries", 4, least=0, most=10) == 4
    assert whole_number({"max_retries": "0"}, "max_retries", 4, least=0, most=10) == 0
    with pytest.raises(ConfigurationError, match=r"-M max_retries=.*: expected a whole number from 0 to 10"):
        whole_number({"max_retries": text}, "max_retries", 4, least=0, most=10)


def test_words_are_checked() -> None:
    assert choice({"x": "b"}, "x", ("a", "b"), "a") == "b"
    with pytest.raises(ConfigurationError, match="expected one of auto, max_tokens"):
        choice({"x": "max_token"}, "x", ("auto", "max_tokens"), "auto")
