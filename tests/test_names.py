"""Symbol ids to names as they travel, against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q.interned import Interned
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.q_values import SymbolVector, symbols

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


@pytest.mark.kernel
@given(st.lists(st.lists(NAMES, max_size=20), max_size=5))
def test_ids_become_their_names_while_names_are_added(columns: list[list[str]]) -> None:
    known = Symbols()
    names = Names(known)
    for column in columns:
        assert SymbolVector(names.encode(known.ids(column)).tobytes(), len(column)) == symbols(
            column
        )


@pytest.mark.kernel
def test_thousands_of_names_and_nulls_keep_their_places() -> None:
    known = Symbols(f"S{i}" for i in range(3000))
    ids = np.arange(-1, 3000, dtype=np.int32)
    expected = symbols(["", *(f"S{i}" for i in range(3000))])
    assert SymbolVector(Names(known).encode(ids).tobytes(), len(ids)) == expected


def test_an_id_that_nobody_allocated_is_a_mistake() -> None:
    with pytest.raises(IndexError, match="id 1 of 1 symbols"):
        Names(Symbols(["A"])).encode(np.array([0, 1], dtype=np.int32))


def test_a_name_ends_at_its_nul() -> None:
    interned = Interned()
    ids = interned.ids(["", "A\0B", "C"])
    assert Names(interned).encode(ids).tobytes() == b"\0A\0C\0"
