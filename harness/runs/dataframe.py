"""Every stored result as one table, for notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.case_result import CaseResult
from harness.errors import MissingDependencyError
from harness.runs.case_table import row_of
from harness.runs.store import RunStore

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_runs"]


def load_runs(path: str | Path = ".harness") -> pd.DataFrame:
    """Return every stored result, one row per case × checkpoint × run, oldest run first.

    Columns are `run`, `created`, the fields of `CaseResult` and `score`; `target` is JSON text.

    Raises:
        MissingDependencyError: pandas is not installed; the core does without it.
        IntegrityError: A run is damaged; its file is named.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(str(missing.name), "dataframe") from None

    store = RunStore(path)
    rows: list[dict[str, Any]] = []
    for summary in store.list():
        record = store.read(summary.run)
        for result in record.cases:
            row = {"run": record.run, "created": record.created} | row_of(result)
            rows.append(row | {"score": result.score})
    columns = ["run", "created", *CaseResult.__dataclass_fields__, "score"]
    frame: pd.DataFrame = pd.DataFrame(rows, columns=columns)
    frame["created"] = pd.to_datetime(frame["created"], utc=True)
    frame["score"] = frame["score"].astype("float64")
    return frame
