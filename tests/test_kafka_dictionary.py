"""The symbols that rows use are told once, before the rows; what nobody can name is refused."""

import numpy as np
import pytest

from tickloop.core.batch import Batch
from tickloop.core.errors import SinkError
from tickloop.core.schema import TRADE
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.sinks.kafka_dictionary import Dictionary

NULL = -(2**31)


def trades(*symbols: int) -> Batch:
    return Batch(TRADE, {
        name: np.array(symbols if name == "sym" else [NULL] * len(symbols), dtype=np.int32)
        for name in ("sym", "ex", "cond")
    })  # fmt: skip


@pytest.mark.kernel
def test_each_symbol_is_told_when_rows_use_it_first() -> None:
    symbols = Symbols(["A", "B", "C"])
    dictionary = Dictionary(symbols, 4)
    assert [each.name for each in dictionary.learn([trades(2, NULL, 0, 2)])] == ["A", "C"]
    assert list(dictionary.learn([trades(0, 2)])) == []
    assert [each.name for each in dictionary.learn([trades(0), trades(1, symbols.id("D"))])] == [
        "B", "D",
    ]  # fmt: skip


@pytest.mark.kernel
def test_a_symbol_that_the_database_does_not_know_is_refused() -> None:
    dictionary = Dictionary(Symbols(["A", "B"]), 4)
    with pytest.raises(SinkError, match=r"symbol 7 seen in trade\.sym, less than 2 expected"):
        list(dictionary.learn([trades(1, 7, 0)]))
