from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ScoringError
from harness.sandbox import Ending, Permission, Program, ProgramLimits, allow_code, code_allowed, run_program
from harness.sandbox.inside.values import MAX_ITEMS, ValueProblem, decode_value, encode_value

FAST = ProgramLimits(seconds=2)


@pytest.fixture(autouse=True)
def allowed() -> Iterator[None]:
    with code_allowed():
        try:
            run_program(Program("", ""))
        except ScoringError as problem:
            pytest.skip(f"no isolation here: {problem}")
        yield


def outcome(
    source: str, tests: str = "assert f() is True", limits: ProgramLimits = FAST, **options: Any
) -> Ending:
    return run_program(Program(source, tests, ("f",), **options), limits)


# --- what the code cannot do -----------------------------------------------------------------------------


def test_nothing_runs_until_it_is_allowed(tmp_path: Path) -> None:
    allow_code(None)
    marker = tmp_path / "ran"
    with pytest.raises(ScoringError, match="--allow-code-execution"):
        run_program(Program(f"open({str(marker)!r}, 'w')", ""))
    assert not marker.exists()


def test_a_fork_bomb_is_contained() -> None:
    bomb = """
import os, time
def f():
    made = 0
    for _ in range(1000):
        try:
            if os.fork() == 0:
                os.setsid()
                while True:
                    try:
                        os.fork()
                    except OSError:
                        time.sleep(0.01)
        except OSError:
            return made < 20
        made += 1
"""
    before = processes()
    assert outcome(bomb).outcome == "passed"
    assert processes() - before < 20, "nothing outlives the sandbox"


def processes() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


def test_an_infinite_loop_is_contained() -> None:
    started = time.monotonic()
    ending = outcome("def f():\n    while True: pass", limits=ProgramLimits(seconds=1))
    assert ending == Ending("failed", "the code used up its CPU time")
    assert time.monotonic() - started < 60


def test_sleeping_for_ever_is_contained() -> None:
    ending = outcome("import time\ndef f(): time.sleep(1e6)", limits=ProgramLimits(wall=2))
    assert ending == Ending("failed", "it did not end within 2 s")


def test_ignored_signals_do_not_help() -> None:
    code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\ndef f():\n    while True: pass"
    assert outcome(code, limits=ProgramLimits(seconds=1)).outcome == "failed"


@pytest.mark.parametrize(
    "code",
    [
        "def f(): return len(bytearray(10 * 1024**3)) > 0",
        "def f():\n    kept = []\n    while True: kept.append('x' * 10**6 + str(len(kept)))",
    ],
)
def test_ten_gigabytes_are_contained(code: str) -> None:
    ending = outcome(code)
    assert ending.outcome == "failed"
    assert "MemoryError" in ending.why


def test_writing_outside_the_directory_is_contained(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    target = tmp_path / "written"
    tries = f"""
import os
def f():
    done = []
    for path in [{str(target)!r}, "/usr/x", "/x", os.path.expanduser("~/x"), "/dev/x", "/etc/x", "../x",
                 {str(Path(__file__))!r}, "/proc/self/root{target}"]:
        for mode in ("w", "a"):
            try:
                open(path, mode).close()
                done.append(path)
            except OSError:
                pass
    return done
"""
    assert outcome(tries, "assert f() == [], f()") == Ending("passed")
    assert not target.exists()


def test_home_and_foreign_files_are_not_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    code = f"""
import os
def f():
    return [path for path in ({str(secret)!r}, {str(Path(__file__))!r}, "/etc/passwd", "/proc/1/environ",
            "/sys", "/var", "/run") if os.path.exists(path)]
"""
    assert outcome(code, "assert f() == [], f()") == Ending("passed")


def test_files_in_the_working_directory_are_limited() -> None:
    code = """
def f():
    with open("own", "w") as file:
        file.write("kept")
    assert open("own").read() == "kept"
    for index in range(100):
        with open(f"large{index}", "wb") as file:
            file.write(bytes(1 << 20))
"""
    assert "No space left" in outcome(code, "f()", ProgramLimits(seconds=2, disk=4)).why


def test_connecting_a_socket_is_contained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket\ndef f(): socket.create_connection(('127.0.0.1', {port}), timeout=1)"
        ending = outcome(code)
        assert ending.outcome == "failed"
        assert "OSError" in ending.why or "Refused" in ending.why or "unreachable" in ending.why
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_secret_of_the_environment_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-3141")
    code = """
import ctypes, os, subprocess, sys
def f():
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    seen = [dict(os.environ), libc.getenv(b"OPENAI_API_KEY")]
    for pid in ("self", "1", str(os.getppid())):
        try:
            seen.append(open(f"/proc/{pid}/environ").read())
        except OSError:
            pass
    return repr(seen)
"""
    assert outcome(code, "assert 'canary' not in f(), f()") == Ending("passed")


def test_no_privilege_comes_back() -> None:
    code = """
import ctypes, os
def f():
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
    try:
        os.setuid(0)
        root = True
    except OSError:
        root = False
    return [mounted == 0, root, os.getuid() == 0, libc.unshare(0x10000000) == 0 and os.getuid() == 0]
"""
    assert outcome(code, "assert f() == [False] * 4, f()") == Ending("passed")


# --- what the code cannot fake ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nprint('passed'); sys.exit(0)\ndef f(): pass",
        "import os\nos._exit(0)",
        'def f():\n    print(\'{"outcome": "passed"}\')\n    raise SystemExit(0)',
        "import os\ndef f(): os._exit(0)",
        'import os\ndef f():\n    [os.write(n, b\'{"outcome": "passed"}\') for n in range(64) if _open(n)]\n'
        "def _open(n):\n    try: os.fstat(n); return n > 2\n    except OSError: return False",
        "class Yes:\n    def __eq__(self, other): return True\n    def __bool__(self): return True\n"
        "def f(): return Yes()",
        "class Yes(int):\n    def __eq__(self, other): return True\ndef f(): return Yes(7)",
        "import os, signal\ndef f(): os.kill(os.getppid(), signal.SIGKILL)",
        "import os, signal\ndef f(): os.kill(1, signal.SIGSTOP); os.kill(-1, signal.SIGKILL)",
        "import builtins\nbuiltins.AssertionError = KeyError\ndef f(): return False",
        "import sys\ndef f():\n    frame = sys._getframe()\n    while frame:\n"
        "        frame.f_globals['check'] = lambda *a: None; frame = frame.f_back",
        "import ctypes\ndef f(): ctypes.string_at(0)",
        "def f(): return f()",
    ],
)
def test_a_result_cannot_be_faked(code: str) -> None:
    assert outcome(code).outcome == "failed"


@pytest.mark.parametrize(
    "code", ["import sys\nsys.exit(0)", "import os\nos._exit(0)", "def f():\n    import os\n    os._exit(0)"]
)
def test_ending_the_process_is_no_result_in_process_either(code: str) -> None:
    assert outcome(code, in_process=True).outcome == "failed"


def test_the_code_does_not_see_the_tests() -> None:
    code = """
import gc, os
def f():
    texts = [str(each) for each in gc.get_objects() if isinstance(each, (str, dict))]
    try:
        texts.append(os.read(0, 10000).decode())
    except OSError:
        pass
    return any("secret" + "-marker" in text for text in texts)
"""
    assert outcome(code, "assert f() is False  # secret-marker") == Ending("passed")


def test_the_process_of_the_tests_cannot_be_traced() -> None:
    code = """
import ctypes, os
def f():
    libc = ctypes.CDLL(None, use_errno=True)
    return [libc.ptrace(16, os.getppid(), 0, 0), ctypes.get_errno() == 1]
"""
    assert outcome(code, "assert f() == [-1, True], f()") == Ending("passed")


# --- what it can do --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("def f(x): return {'a': [x, (1.5, None)]}", "assert f(2) == {'a': [2, (1.5, None)]}"),
        ("def f(items): items.sort()", "own = [3, 1]; f(own); assert own == [1, 3]"),
        ("def f(d): d['k'] = 1", "own = {}; f(own); assert own == {'k': 1}"),
        (
            "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
            "import itertools; assert list(itertools.islice(f(), 3)) == [0, 1, 2]",
        ),
        (
            "def f(): raise ValueError('bad')",
            "try: f(); assert 0\nexcept ValueError as e: assert str(e) == 'bad'",
        ),
        (
            "class Odd(ValueError): pass\ndef f(): raise Odd('bad')",
            "try: f(); assert 0\nexcept ValueError as e: assert str(e) == 'bad'",
        ),
        (
            "import json\ndef f(text): return json.loads(text)",
            "try: f('{'); assert 0\nexcept ValueError: pass",
        ),
        ("def f(items, n): items.append(n)", "own = []; f(items=own, n=3); assert own == [3]"),
        ("from collections import Counter\ndef f(): return Counter('aab')", "assert f() == {'a': 2, 'b': 1}"),
        (
            "from decimal import Decimal\ndef f(): return Decimal('1.1')",
            "from decimal import *\nassert f() == Decimal('1.1')",
        ),
        ("def f(): return 10 ** 5000", "assert f() == 10 ** 5000"),
        ("def f(): return '\\ud800 \\u202e'", "assert f() == '\\ud800 \\u202e'"),
        (
            "import threading\ndef f():\n    t = threading.Thread(target=int); t.start(); return t.join()",
            "assert f() is None",
        ),
    ],
)
def test_plain_values_pass_between_code_and_tests(code: str, tests: str) -> None:
    assert outcome(code, tests) == Ending("passed")


def test_a_failing_test_is_quoted() -> None:
    ending = outcome("def f(x): return x", "assert f(1) == 1\nassert f(2) == 3, 'twice'")
    assert ending == Ending("failed", "AssertionError: twice (line 2 of tests: assert f(2) == 3, 'twice')")


def test_classes_need_the_tests_in_their_process() -> None:
    code = "class f:\n    def __init__(self): self.items = []"
    assert "no plain value" in outcome(code, "assert f().items == []").why
    assert outcome(code, "assert f().items == []", in_process=True) == Ending("passed")


def test_what_is_no_function_is_said_to_be_none() -> None:
    assert "f is no function (tests of other values need in_process)" in outcome("f = 3", "assert f == 3").why
    assert outcome("f = 3", "assert f == 3", in_process=True) == Ending("passed")
    assert outcome("g = 3", "assert f == 3").why == "the code does not define f"


def test_tests_that_pass_functions_are_the_authors_fault() -> None:
    with pytest.raises(
        ScoringError, match="tests pass f a function, which is no plain value: use in_process"
    ):
        outcome("def f(g): return g()", "f(lambda: 1)")


@pytest.mark.parametrize("code", ["def f(:", "def f(): \0", "x = '\ud800'\n(", "(" * 10_000, "return 1"])
def test_what_is_no_python_is_unreadable(code: str) -> None:
    assert outcome(code).outcome == "unreadable"


@pytest.mark.parametrize("code", ["raise ValueError", "1 / 0", "import numpy", "g = 1", "f = 3"])
def test_code_that_fails_to_load_or_defines_nothing_fails(code: str) -> None:
    assert outcome(code).outcome == "failed"


# --- where the system cannot isolate ---------------------------------------------------------------------


def test_without_namespaces_nothing_runs_unless_the_user_accepts_that() -> None:
    """In a child whose user may make no namespaces, as in most containers."""
    code = """
import ctypes, os, sys
from harness.errors import ScoringError
from harness.sandbox import Permission, Program, allow_code, run_program
libc = ctypes.CDLL(None, use_errno=True)
uid, gid = os.getuid(), os.getgid()
assert libc.unshare(0x10000000) == 0
for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
    open(f"/proc/self/{name}", "w").write(text)
open("/proc/sys/user/max_user_namespaces", "w").write("0")
program = Program("import time\\ndef f(): return True", "assert f() is True", ("f",))
allow_code(Permission())
try:
    run_program(program)
    print("ran")
except ScoringError as problem:
    print(problem)
allow_code(Permission(unisolated=True))
print(run_program(program))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot make user, mount, network and PID namespaces" in done.stdout, done.stderr
    assert "--allow-unisolated-code" in done.stdout
    if os.geteuid() == 0:  # which this child may not give up, and limits do not bind root
        assert "cannot become nobody" in done.stderr
    else:
        assert done.stdout.splitlines()[-1] == "Ending(outcome='passed', why='')"


def test_permission_is_given_back() -> None:
    allow_code(None)
    with code_allowed(unisolated=True):
        assert run_program(Program("", "")) == Ending("passed")
    with pytest.raises(ScoringError):
        run_program(Program("", ""))
    allow_code(Permission())


# --- values ----------------------------------------------------------------------------------------------

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@given(plain)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    found = decode_value(encode_value(value))
    assert found == value
    assert repr(found) == repr(value)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_no_value_is_a_problem(data: Any) -> None:
    with contextlib.suppress(ValueProblem):
        decode_value(json.dumps(data))


def test_iterators_are_taken_so_far() -> None:
    assert len(list(decode_value(encode_value(iter(range(3 * MAX_ITEMS)))))) == MAX_ITEMS
