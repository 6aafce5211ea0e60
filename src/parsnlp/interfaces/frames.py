"""Results as data frames: the tables of `parsnlp schema --tables`, in pandas or polars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from parsnlp.errors import InputError
from parsnlp.interfaces import tables
from parsnlp.interfaces.tables import TABLES, Row, Table
from parsnlp.models import Result

if TYPE_CHECKING:
    import pandas
    import polars

LEFT_OUT = ("errors", "run")
"""Tables that only a batch fills."""


@overload
def frames(
    results: Result | Iterable[Result], library: Literal["pandas"] = "pandas", *, text: bool = True
) -> dict[str, pandas.DataFrame]: ...
@overload
def frames(
    results: Result | Iterable[Result], library: Literal["polars"], *, text: bool = True
) -> dict[str, polars.DataFrame]: ...
def frames(results: Result | Iterable[Result], library: str = "pandas", *, text: bool = True) -> dict[str, Any]:
    """The tables of results by name: notes, documents, conditions, codes, findings, queries and the others.

    `library`: pandas or polars. Columns have the types of the data dictionary; what may be missing is missing, never a
    number of its own (pandas: `string`, `Int64`, `boolean`, `datetime64[s]`). `text=False`: none of the notes' words.
    Raises `InputError` for another library, or one that is not installed.

    >>> import parsnlp
    >>> made = frames(parsnlp.load().extract("CT: L5 pars defects, no slip."))
    >>> made["findings"][["condition", "assertion", "levels"]].values.tolist()
    [['spondylolysis', 'affirmed', 'L5'], ['spondylolisthesis', 'negated', <NA>]]
    """
    if library not in ("pandas", "polars"):
        raise InputError(f"library {library!r} is neither pandas nor polars")
    held: dict[str, list[Row]] = {name: [] for name in TABLES if name not in LEFT_OUT}
    for number, result in enumerate([results] if isinstance(results, Result) else results):
        for name, row in tables.rows(number, result.model_dump(mode="json") if text else _without_text(result)):
            held[name].append(row)
    make = _pandas if library == "pandas" else _polars
    return {name: make(TABLES[name], rows) for name, rows in held.items()}


def _without_text(result: Result) -> dict[str, Any]:
    import json

    made: dict[str, Any] = json.loads(result.to_json(text=False))
    return made


def _pandas(table: Table, rows: list[Row]) -> Any:
    try:
        import pandas
    except ImportError:
        raise InputError("data frames need: pip install 'parsnlp[notebook]'") from None
    types = {"string": "string", "int64": "Int64", "bool": "boolean", "date": "datetime64[s]"}
    cells = zip(*rows, strict=True) if rows else ((),) * len(table.columns)
    return pandas.DataFrame(
        {
            column.name: pandas.Series(list(values), dtype=types[column.type])
            for column, values in zip(table.columns, cells, strict=True)
        }
    )


def _polars(table: Table, rows: list[Row]) -> Any:
    try:
        import polars
    except ImportError:
        raise InputError("polars frames need: pip install 'parsnlp[polars]'") from None
    types = {"string": polars.String, "int64": polars.Int64, "bool": polars.Boolean, "date": polars.Date}
    schema = {column.name: types[column.type] for column in table.columns}
    return polars.DataFrame(rows, schema=schema, orient="row")
