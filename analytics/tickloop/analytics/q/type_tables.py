"""The simple types of q: how arrays hold them, their nulls, and their letters."""

from typing import Any

import numpy as np

from tickloop.tickerplant.q_values import QType

DTYPES: dict[QType, np.dtype[Any]] = {
    QType.BOOLEAN: np.dtype("|b1"),
    QType.GUID: np.dtype("|V16"),
    QType.BYTE: np.dtype("|u1"),
    QType.SHORT: np.dtype("<i2"),
    QType.INT: np.dtype("<i4"),
    QType.LONG: np.dtype("<i8"),
    QType.REAL: np.dtype("<f4"),
    QType.FLOAT: np.dtype("<f8"),
    QType.CHAR: np.dtype("|u1"),
    QType.SYMBOL: np.dtype("<i4"),
    QType.TIMESTAMP: np.dtype("<i8"),
    QType.MONTH: np.dtype("<i4"),
    QType.DATE: np.dtype("<i4"),
    QType.DATETIME: np.dtype("<f8"),
    QType.TIMESPAN: np.dtype("<i8"),
    QType.MINUTE: np.dtype("<i4"),
    QType.SECOND: np.dtype("<i4"),
    QType.TIME: np.dtype("<i4"),
}
# What a null is inside an array of the type; booleans and bytes have none and use 0.
NULLS: dict[QType, Any] = {
    QType.BOOLEAN: False, QType.GUID: bytes(16), QType.BYTE: 0, QType.SHORT: -(2**15),
    QType.INT: -(2**31), QType.LONG: -(2**63), QType.REAL: float("nan"),
    QType.FLOAT: float("nan"), QType.CHAR: 0x20, QType.SYMBOL: 0, QType.TIMESTAMP: -(2**63),
    QType.MONTH: -(2**31), QType.DATE: -(2**31), QType.DATETIME: float("nan"),
    QType.TIMESPAN: -(2**63), QType.MINUTE: -(2**31), QType.SECOND: -(2**31),
    QType.TIME: -(2**31),
}  # fmt: skip
TYPE_CHARS = {
    QType.BOOLEAN: "b", QType.GUID: "g", QType.BYTE: "x", QType.SHORT: "h", QType.INT: "i",
    QType.LONG: "j", QType.REAL: "e", QType.FLOAT: "f", QType.CHAR: "c", QType.SYMBOL: "s",
    QType.TIMESTAMP: "p", QType.MONTH: "m", QType.DATE: "d", QType.DATETIME: "z",
    QType.TIMESPAN: "n", QType.MINUTE: "u", QType.SECOND: "v", QType.TIME: "t",
}  # fmt: skip
TYPES_BY_CHAR = {char: kind for kind, char in TYPE_CHARS.items()}
