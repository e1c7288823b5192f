"""A night leaves one page, one line, one comment; only a verdict that moved is told."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from case_results import stored_record, two_sides
from test_commands import ask
from test_report import evil_record

from harness.errors import CheckpointError, ConfigurationError, IntegrityError, StoreError
from harness.nightly.announcement import MARKER, chat_text, comment_text
from harness.nightly.checkpoints import tonights_checkpoints
from harness.nightly.history import Night, append_night, last_told_night, moves, night_of
from harness.nightly.plan import load_nightly_plan
from harness.nightly.pull_request import pull_request_of
from harness.nightly.sending import send_json

TOKEN = "ghp_canary0123456789wxyz"


class Servers:
    """A webhook and GitHub's comments, on this machine."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.comments: dict[int, str] = {7: "somebody else's"}
        self.calls: list[str] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
                outer.calls.append(f"{self.command} {self.path}")
                status, reply = outer.reply(self.command, self.path, self.headers.get("Authorization"), body)
                data = json.dumps(reply).encode()
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = answer  # noqa: N815 (http.server looks for these names)
            do_POST = answer  # noqa: N815
            do_PATCH = answer  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reply(self, method: str, path: str, authorization: str | None, body: Any) -> tuple[int, Any]:
        if path == "/hook/secret":
            if self.status == 200:
                self.messages.append(body)
            return self.status, "ok"
        if authorization != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}
        if method == "GET" and path.startswith("/repos/me/desk/issues/12/comments?"):
            return 200, [{"id": number, "body": text} for number, text in self.comments.items()]
        if method == "POST" and path == "/repos/me/desk/issues/12/comments":
            self.comments[max(self.comments) + 1] = body["body"]
            return 201, {"id": max(self.comments)}
        found = re.fullmatch(r"/repos/me/desk/issues/comments/(\d+)", path)
        if method == "PATCH" and found and int(found.group(1)) in self.comments:
            self.comments[int(found.group(1))] = body["body"]
            return 200, {}
        return 404, {"message": "Not Found"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    found = Servers()
    yield found
    found.close()


PLAN = """\
checkpoints: [replay/tonight.jsonl]
baseline: replay/base.jsonl
webhook: TEAM_WEBHOOK
pull_request: true
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: Servers) -> Path:
    cases = [
        {"id": f"c{i}", "input": f"what is {i} + 1?", "target": str(i + 1), "checks": [{"type": "equals"}]}
        for i in range(80)
    ]
    folder = tmp_path / "golden" / "sums" / "v1"
    folder.mkdir(parents=True)
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_sums.py").write_text(
        "import pytest, harness\n\n@pytest.mark.suite('sums')\n"
        "def test_sums(case, response):\n    harness.check(case, response)\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nharness_page = false\naddopts = -p no:hypothesispytest\n")
    (tmp_path / "nightly.yaml").write_text(PLAN)
    outputs(tmp_path / "base.jsonl", every=10)
    outputs(tmp_path / "tonight.jsonl", every=12)
    for name, value in {
        "TEAM_WEBHOOK": f"{servers.url}/hook/secret",
        "GITHUB_API_URL": servers.url,
        "GITHUB_REPOSITORY": "me/desk",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REF": "refs/pull/12/merge",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(path: Path, every: int) -> None:
    """Write answers of which every so many-th is wrong."""
    rows = ({"id": f"c{i}", "output": "no idea" if i % every == 0 else str(i + 1)} for i in range(80))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_three_nights_first_quiet_and_regressed(
    project: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "nightly") == 0
    first = capfd.readouterr()
    assert "answers: 160 wanted, 0 from the cache, 160 generated" in first.out
    assert "moved: sums × replay/tonight.jsonl: new → PASS" in first.out
    assert [message["text"].splitlines()[0] for message in servers.messages] == ["Nightly comparison: PASS"]
    assert sorted(servers.comments) == [7, 8]
    assert servers.comments[8].startswith(MARKER)
    assert "may ship" in (project / "nightly" / "report.html").read_text(encoding="utf-8")

    servers.calls.clear()
    assert ask(monkeypatch, "nightly", "nightly.yaml") == 0
    second = capfd.readouterr()
    assert "answers: 160 wanted, 160 from the cache, 0 generated" in second.out
    assert "no verdict moved" in second.out
    assert servers.calls == [], "nobody hears of a night like the one before"

    outputs(project / "tonight.jsonl", every=2)
    assert ask(monkeypatch, "nightly") == 1
    third = capfd.readouterr()
    assert "answers: 160 wanted, 80 from the cache, 80 generated" in third.out, (
        "the baseline is not asked again"
    )
    assert "PASS → REGRESSED" in third.out
    assert "PASS → REGRESSED: the mean fell" in servers.messages[-1]["text"]
    assert len(servers.messages) == 2
    assert sorted(servers.comments) == [7, 8], "one comment, updated in place"
    assert "REGRESSED" in servers.comments[8]
    assert servers.comments[7] == "somebody else's"

    lines = (project / "nightly" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["exit_code"] for line in lines] == [0, 0, 1]
    assert (project / "summary.md").read_text(encoding="utf-8").count("## Checkpoint Harness") == 3
    everything = [first, second, third, *(path for path in project.rglob("*") if path.is_file())]
    for one in everything:
        text = one.read_bytes().decode("utf-8", "replace") if isinstance(one, Path) else one.out + one.err
        assert TOKEN not in text
        assert "hook/secret" not in text


def test_who_could_not_be_told_is_told_the_next_night(
    project: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    servers.status = 503
    assert ask(monkeypatch, "nightly") == 3
    failed = capfd.readouterr().err
    assert "webhook: POST was answered with status 503; it is tried again tomorrow" in failed
    assert 8 in servers.comments, "one that is down silences no other"
    servers.status = 200
    assert ask(monkeypatch, "nightly") == 0
    assert len(servers.messages) == 1
    assert ask(monkeypatch, "nightly") == 0
    assert len(servers.messages) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TEAM_WEBHOOK": ""}, "the environment variable TEAM_WEBHOOK is not set"),
        ({"GITHUB_TOKEN": ""}, "GITHUB_REPOSITORY and GITHUB_TOKEN must be set"),
        ({"GITHUB_REF": "refs/heads/main"}, "set NIGHTLY_PULL_REQUEST"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(
    change: dict[str, str],
    said: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    assert ask(monkeypatch, "nightly") == 4
    assert said in capfd.readouterr().err
    assert not (project / ".harness").exists()


# --- the plan --------------------------------------------------------------------------------------------


def test_a_plan_names_every_problem_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(
        "checkpoint: [a]\nbaseline: 3\nwebhook: https://hooks.test/T0/secret\npull_request: please\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        load_nightly_plan(path)
    message = str(refused.value)
    assert f"{path}:1: no key 'checkpoint' (did you mean 'checkpoints'?)" in message
    assert f"{path}:2: baseline: expected a text" in message
    assert f"{path}:3: webhook: expected the name of an environment variable" in message
    assert "T0/secret" not in message
    assert f"{path}:4: pull_request: expected true or false" in message
    assert "checkpoints is missing" in message


def test_patterns_and_the_newest_of_a_run(tmp_path: Path) -> None:
    for name in ("lora/checkpoint-200", "lora/checkpoint-1000", "lora/best", "dpo/checkpoint-50"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "lora" / "checkpoint-9999").write_text("a file")
    entries = ["newest:lora", "runs/*/checkpoint-*", "openai/gpt"]
    assert tonights_checkpoints(entries, tmp_path) == {
        "runs/lora/checkpoint-1000": "newest:lora",
        "runs/dpo/checkpoint-50": "runs/dpo/checkpoint-50",
        "runs/lora/checkpoint-200": "runs/lora/checkpoint-200",
        "openai/gpt": "openai/gpt",
    }
    for nothing in ("newest:none", "runs/none-*", "newest:../.."):
        with pytest.raises(CheckpointError, match=re.escape(nothing)):
            tonights_checkpoints([nothing], tmp_path)


# --- the history -----------------------------------------------------------------------------------------


def night(statuses: dict[str, str], **fields: Any) -> Night:
    verdicts = tuple({"suite": "s", "name": name, "status": status} for name, status in statuses.items())
    return Night("r", "2026-01-01T00:00:00Z", 0, verdicts, {}, **fields)


def test_moves_are_changes_appearances_and_losses() -> None:
    before, now = (
        night({"a": "PASS", "b": "PASS", "c": "PASS"}),
        night({"a": "PASS", "b": "FAILED", "d": "PASS"}),
    )
    assert [(move.name, move.before, move.now) for move in moves(before, now)] == [
        ("b", "PASS", "FAILED"),
        ("d", None, "PASS"),
        ("c", "PASS", None),
    ]
    assert moves(now, now) == []


def test_a_history_reads_back_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "history.jsonl"
    assert last_told_night(path) is None
    record = stored_record(*two_sides([1.0] * 20, [1.0] * 20))
    kept = night_of(record, {"checkpoint-300": "newest:lora"})
    append_night(path, kept)
    assert last_told_night(path) == kept
    assert list(kept.statuses) == [("refunds", "newest:lora")]
    with path.open("a") as stream:
        stream.write('{"schema_version": 1}\n')
    with pytest.raises(IntegrityError, match=r"history.jsonl:2"):
        last_told_night(path)


def test_a_move_that_nobody_heard_of_is_told_the_night_after(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append_night(path, night({"a": "PASS"}))
    append_night(path, night({"a": "REGRESSED"}, told=False))
    told = last_told_night(path)
    assert told is not None
    assert [(move.name, move.before, move.now) for move in moves(told, night({"a": "REGRESSED"}))] == [
        ("a", "PASS", "REGRESSED")
    ]
    assert moves(told, night({"a": "PASS"})) == []


# --- what is said ----------------------------------------------------------------------------------------


def test_hostile_names_are_no_markup_in_a_chat_or_comment() -> None:
    record = evil_record()
    kept = night_of(record, {})
    text = chat_text(kept, moves(None, kept), record)
    assert "<" not in text
    assert ">" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e*_~`]", text)
    comment = comment_text(record)
    assert comment.startswith(f"{MARKER}\n## Checkpoint Harness")
    assert comment.count("<!--") == 1
    json.dumps({"body": comment}).encode("ascii")


def test_a_long_comment_is_cut_to_what_github_takes() -> None:
    ours, theirs = two_sides([0.0] * 300, [1.0] * 300, outputs=("word " * 2_000,))
    assert len(comment_text(stored_record(ours, theirs))) <= 60_100


# --- sending ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["http://hooks.test/x", "file:///etc/passwd", "ftp://127.0.0.1/", "nonsense", ""]
)
def test_only_https_is_sent_to(address: str) -> None:
    with pytest.raises(ConfigurationError, match="must begin with https"):
        send_json("POST", address, {}, called="webhook")


@pytest.mark.parametrize("address", ["https://hooks.test/a secret", "https://hooks.test:1x/secret"])
def test_an_address_that_nobody_can_ask_is_an_error_without_it(address: str) -> None:
    with pytest.raises((StoreError, ConfigurationError)) as caught:
        send_json("POST", address, {}, called="webhook")
    assert "secret" not in str(caught.value)


def test_a_waived_night_is_announced_as_one() -> None:
    record = dataclasses.replace(stored_record(*two_sides([1.0] * 20, [1.0] * 20)), waived=True)
    kept = night_of(record, {})
    assert chat_text(kept, [], record).startswith("Nightly comparison: INCONCLUSIVE, and waived")


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_a_redirect_or_refusal_is_an_error_and_is_not_followed(status: int, servers: Servers) -> None:
    servers.status = status
    with pytest.raises(StoreError, match=f"webhook: POST was answered with status {status}"):
        send_json("POST", f"{servers.url}/hook/secret", {}, called="webhook")
    assert servers.calls == ["POST /hook/secret"]


def test_a_token_is_in_no_representation() -> None:
    found = pull_request_of(
        {
            "GITHUB_REPOSITORY": "a/b",
            "GITHUB_TOKEN": TOKEN,
            "NIGHTLY_PULL_REQUEST": "3",
            "GITHUB_REF": "refs/pull/9/x",
        }
    )
    assert found.number == 3
    assert TOKEN not in repr(found)
