"""The Parquet file of a run: what it holds, who else can read it, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from case_results import case_result

from harness.case_result import CaseResult
from harness.errors import HarnessError, IntegrityError
from harness.runs import case_table
from harness.runs.case_table import read_cases, row_of, write_cases

OLD = Path(__file__).parent / "stored_runs" / "written-by-pyarrow-26.parquet"
"""`every_kind_of_value()`, as releases up to 0.1 wrote it: by pyarrow 26.0.1, dictionaries and zstd pages."""
TEXTS = ("", "ü 😀", 'two\nlines, "quoted"', "x" * 100, "a \x00 \u2028 \r\n")


def every_kind_of_value() -> list[CaseResult]:
    return [
        case_result(
            f"c{i}",
            None if i % 5 == 0 else i / 40,
            outputs=TEXTS[: i % 6],
            finish_reasons=("stop",) * (i % 3),
            labels=(None, "spam")[: i % 3],
            label=None if i % 2 else "spam",
            explanation=TEXTS[i % 5] if i % 3 else None,
            target=(None, 3, {"a": ["ü"]}, "text")[i % 4],
            must_pass=i % 7 == 0,
            latency_ms=None if i % 4 else i / 3,
            completion_tokens=None if i % 3 else 2**40 + i,
        )
        for i in range(40)
    ]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    digest = write_cases(path, every_kind_of_value())
    assert digest == sha256(path)
    assert read_cases(path, digest) == every_kind_of_value()


def test_a_file_that_pyarrow_wrote_is_read() -> None:
    assert read_cases(OLD, sha256(OLD)) == every_kind_of_value()


def test_pyarrow_and_pandas_read_ours(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "cases.parquet"
    write_cases(path, every_kind_of_value())
    rows = [row_of(result) for result in every_kind_of_value()]
    assert parquet.read_table(path).to_pylist() == rows
    assert parquet.read_schema(path).equals(parquet.read_schema(OLD))
    assert pandas.read_parquet(path)["explanation"].isna().sum() == 14


@pytest.mark.parametrize("count", [0, 1, 4_500])
def test_any_number_of_cases_keeps_its_order(tmp_path: Path, count: int) -> None:
    cases = [case_result(f"c{i}", i / 5_000, outputs=("ü" * (i % 7),)) for i in range(count)]
    path = tmp_path / "cases.parquet"
    assert read_cases(path, write_cases(path, cases)) == cases


def test_no_bytes_are_parsed_but_those_that_were_written(tmp_path: Path) -> None:
    """The library ends the process on some damaged pages: it must never see them."""
    path = tmp_path / "cases.parquet"
    digest = write_cases(path, every_kind_of_value())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"cases\.parquet: is not what was written.*sha256 differs"):
        read_cases(path, digest)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 40 + b"PAR1"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cases.parquet"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"cases\.parquet: cannot be read as the cases of a run"):
        read_cases(path, sha256(path))


def test_an_interrupt_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cases.parquet"
    digest = write_cases(path, every_kind_of_value())

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(case_table, "_values", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_cases(path, digest)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    path = tmp_path / "cases.parquet"
    write_parquet(Table.from_pydict({"suite": Array(["a"], DataType.string())}), path)
    with pytest.raises(IntegrityError, match="its columns are not those of a run's cases"):
        read_cases(path, sha256(path))


def test_more_text_than_an_array_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_table, "_MAX_TEXT", 2_000)
    write_cases(tmp_path / "fits.parquet", [case_result("a", 1.0, outputs=("ü" * 1_000,))])
    with pytest.raises(HarnessError, match="more than 2 GiB of text"):
        write_cases(tmp_path / "cases.parquet", [case_result("a", 1.0, outputs=("ü" * 1_001,))])
