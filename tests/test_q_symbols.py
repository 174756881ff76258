"""Symbol ids to the wire's symbols, against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core.symbols import Symbols
from tickloop.tickerplant.q_symbols import SymbolText
from tickloop.tickerplant.q_values import Attribute, symbols

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


@pytest.mark.kernel
@given(st.lists(st.lists(NAMES, max_size=20), max_size=5))
def test_ids_become_their_names_while_names_are_added(columns: list[list[str]]) -> None:
    known = Symbols()
    text = SymbolText(known)
    for names in columns:
        assert text.vector(known.ids(names)) == symbols(names)


@pytest.mark.kernel
def test_thousands_of_names_and_nulls_keep_their_places() -> None:
    known = Symbols(f"S{i}" for i in range(3000))
    ids = np.arange(-1, 3000, dtype=np.int32)
    names = ["", *(f"S{i}" for i in range(3000))]
    vector = SymbolText(known).vector(ids, Attribute.UNIQUE)
    assert vector == symbols(names, Attribute.UNIQUE)


def test_an_id_that_nobody_allocated_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="id 1 of 1 symbols"):
        SymbolText(Symbols(["A"])).vector(np.array([0, 1], dtype=np.int32))
