"""What an answer is kept under: one digest, however it is put together."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.cases import Message, Request, Sampling, canonical_json, content_digest
from harness.engine.cache import _digest
from harness.engine.plan import RequestKeys, request_key
from harness.protocols import Checkpoint

TEXT = st.text(max_size=20)


def identity(checkpoint: Checkpoint, request: Request) -> dict[str, Any]:
    """Return what a key is the digest of, in plain words."""
    found = {
        "version": 1,
        "backend": checkpoint.backend,
        "fingerprint": checkpoint.fingerprint,
        "numerics": dict(checkpoint.numerics),
        "request": request.as_dict(),
    }
    return found | ({"case": request.case_id} if checkpoint.keyed_by_case else {})


@given(
    backend=TEXT,
    fingerprint=TEXT,
    numerics=st.dictionaries(TEXT, TEXT, max_size=3),
    by_case=st.booleans(),
    contents=st.lists(TEXT, min_size=1, max_size=3),
    case_id=st.none() | TEXT,
    seed=st.integers(0, 2**40),
)
def test_a_key_is_the_digest_of_one_canonical_object(
    backend: str,
    fingerprint: str,
    numerics: dict[str, str],
    by_case: bool,
    contents: list[str],
    case_id: str | None,
    seed: int,
) -> None:
    checkpoint = Checkpoint("s", "n", backend, "l", fingerprint, numerics, keyed_by_case=by_case)
    messages = tuple(Message("user", content) for content in contents)
    request = Request(messages, Sampling(seed=seed), case_id=case_id)
    expected = content_digest(identity(checkpoint, request))
    assert request_key(checkpoint, request) == expected
    assert RequestKeys(checkpoint).of(canonical_json(request.as_dict()), case_id) == expected


def test_a_key_changes_with_whatever_decides_the_answer() -> None:
    request = Request((Message("user", "hello"),), case_id="c")
    model = Checkpoint("s", "n", "hf", "l", "f", {"dtype": "float32"})
    keys = {
        request_key(model, request),
        request_key(model, Request((Message("user", "hello!"),), case_id="c")),
        request_key(model, Request((Message("user", "hello"),), Sampling(seed=1), case_id="c")),
        request_key(model, Request((Message("user", "hello"),), sample=1, case_id="c")),
        request_key(Checkpoint("s", "n", "hf", "l", "g", {"dtype": "float32"}), request),
        request_key(Checkpoint("s", "n", "hf", "l", "f", {"dtype": "bfloat16"}), request),
        request_key(Checkpoint("s", "n", "replay", "l", "f", {"dtype": "float32"}), request),
    }
    assert len(keys) == 7
    assert request_key(model, Request((Message("user", "hello"),), case_id="d")) in keys


@given(key=TEXT, stored=st.text(max_size=60))
def test_the_digest_of_a_cached_row_is_that_of_its_canonical_spelling(key: str, stored: str) -> None:
    assert _digest(key, stored) == content_digest([key, stored])
