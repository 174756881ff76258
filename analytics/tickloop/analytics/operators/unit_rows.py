"""What `instrument` rows say: how many inside steps of price and of size make one."""

from collections.abc import Iterator

import numpy as np

from tickloop.analytics.operators.columns import column
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_INT
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT

DEFAULT_PRICE_SCALE = 10.0**-DEFAULT_PRICE_UNIT
DEFAULT_SIZE_SCALE = 10.0**-DEFAULT_SIZE_UNIT


def scales(instruments: Batch) -> Iterator[tuple[int, float, float]]:
    """Yield each row's symbol and how many inside steps of price, and of size, make one."""
    symbols = instruments.columns["sym"].tolist()
    price_units = column(instruments, "price_unit").astype(np.int64).tolist()
    size_units = column(instruments, "size_unit").astype(np.int64).tolist()
    for symbol, price_unit, size_unit in zip(symbols, price_units, size_units, strict=True):
        if symbol >= 0:
            yield (
                symbol,
                DEFAULT_PRICE_SCALE if price_unit == NULL_INT else 10.0**-price_unit,
                DEFAULT_SIZE_SCALE if size_unit == NULL_INT else 10.0**-size_unit,
            )
