"""Values of Python, NumPy, Arrow, pandas and Polars as values of q."""

from typing import Any

from tickloop.analytics.q.values import Value


def to_value(value: Any) -> Value:
    """Turn a Python value into a q value."""
    raise NotImplementedError
