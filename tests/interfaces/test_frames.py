"""Results as data frames: the declared tables, with the types that their dictionary says."""

from __future__ import annotations

import json

import pandas
import polars
import pytest

import parsnlp
from parsnlp.errors import InputError
from parsnlp.interfaces import tables
from parsnlp.interfaces.frames import LEFT_OUT, frames
from parsnlp.interfaces.tables import TABLES
from parsnlp.models import Note, Result

NOTES = (
    Note(
        text="Assessment: L5 spondylolysis with grade I slip of L5 on S1. Brace.",
        id="a",
        date="2026-05-12",
        patient="p",
    ),
    Note(text="Chest film: clear.", id="b"),
    Note(text="MRI: L4-5 anterolisthesis 🙂. No pars defect.", id="c", setting="inpatient"),
)
PANDAS = {"string": "string", "int64": "Int64", "bool": "boolean", "date": "datetime64[s]"}
POLARS = {"string": polars.String, "int64": polars.Int64, "bool": polars.Boolean, "date": polars.Date}


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return list(parsnlp.load().pipe(NOTES))


@pytest.mark.parametrize("some", [3, 0])
def test_both_libraries_hold_what_the_rows_say(results: list[Result], some: int) -> None:
    given = results[:some]
    expected: dict[str, list[tables.Row]] = {name: [] for name in TABLES}
    for number, result in enumerate(given):
        for name, row in tables.rows(number, json.loads(result.to_json())):
            expected[name].append(row)
    in_pandas, in_polars = frames(given), frames(iter(given), "polars")
    assert set(in_pandas) == set(in_polars) == set(TABLES) - set(LEFT_OUT)
    for name, table in TABLES.items():
        if name in LEFT_OUT:
            continue
        columns = [column.name for column in table.columns]
        one, other = in_pandas[name], in_polars[name]
        assert list(one.columns) == other.columns == columns
        assert [str(one[c.name].dtype) for c in table.columns] == [PANDAS[c.type] for c in table.columns]
        assert [other[c.name].dtype for c in table.columns] == [POLARS[c.type] for c in table.columns]
        assert other.rows() == expected[name]
        plain = [
            tuple(
                None if pandas.isna(cell) else cell.date() if isinstance(cell, pandas.Timestamp) else cell
                for cell in row
            )
            for row in one.itertuples(index=False, name=None)
        ]
        assert plain == expected[name]


def test_one_result_is_enough(results: list[Result]) -> None:
    pandas.testing.assert_frame_equal(frames(results[0])["codes"], frames(results[:1])["codes"])


def test_without_text_no_word_of_the_notes_is_there(results: list[Result]) -> None:
    made = frames(results, text=False)
    for name, table in TABLES.items():
        for column in table.columns:
            if column.quotes and name not in LEFT_OUT:
                assert made[name][column.name].isna().all()
    assert len(made["findings"]) == len(frames(results)["findings"])


def test_an_unknown_library_is_refused(results: list[Result]) -> None:
    with pytest.raises(InputError, match="'arrow' is neither pandas nor polars"):
        frames(results, "arrow")  # type: ignore[call-overload]
