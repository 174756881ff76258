"""Units by symbol: what one inside step of price and of size is worth."""

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import SchemaError
from tickloop.core.units import UNIT_MIN

DEFAULT_PRICE_UNIT = -4
DEFAULT_SIZE_UNIT = 0


class Instruments:
    """Power-of-ten units by symbol id; an instrument's unit never changes once it is set."""

    def __init__(self) -> None:
        self._price_units = np.full(1024, DEFAULT_PRICE_UNIT, dtype=np.int8)
        self._size_units = np.full(1024, DEFAULT_SIZE_UNIT, dtype=np.int8)
        self._declared: dict[int, tuple[int, int]] = {}

    def declare(self, symbol_id: int, *, price_unit: int, size_unit: int) -> bool:
        """Set a symbol's units; False if they were set alike before, SchemaError if otherwise."""
        for unit in (price_unit, size_unit):
            if not UNIT_MIN <= unit <= 0:
                raise SchemaError(f"unit 10^{unit} seen, 10^{UNIT_MIN} to 10^0 expected")
        known = self._declared.get(symbol_id)
        if known is not None and known != (price_unit, size_unit):
            raise SchemaError(
                f"symbol {symbol_id} has price and size units {known}, asked to change to"
                f" {(price_unit, size_unit)}; an instrument keeps its units within one data"
                " directory: capture this feed into a new one"
            )
        self._grow(symbol_id + 1)
        self._price_units[symbol_id] = price_unit
        self._size_units[symbol_id] = size_unit
        self._declared[symbol_id] = (price_unit, size_unit)
        return known is None

    def _grow(self, needed: int) -> None:
        if needed <= len(self._price_units):
            return
        extra = max(needed, 2 * len(self._price_units)) - len(self._price_units)
        self._price_units = np.append(
            self._price_units, np.full(extra, DEFAULT_PRICE_UNIT, dtype=np.int8)
        )
        self._size_units = np.append(
            self._size_units, np.full(extra, DEFAULT_SIZE_UNIT, dtype=np.int8)
        )

    def declared(self, symbol_id: int) -> tuple[int, int] | None:
        """Give a symbol's (price unit, size unit), or None if nothing declared it."""
        return self._declared.get(symbol_id)

    @property
    def price_units(self) -> npt.NDArray[np.int8]:
        """Powers of ten by symbol id; ids past the end use DEFAULT_PRICE_UNIT."""
        return self._price_units

    @property
    def size_units(self) -> npt.NDArray[np.int8]:
        """Powers of ten by symbol id; ids past the end use DEFAULT_SIZE_UNIT."""
        return self._size_units
