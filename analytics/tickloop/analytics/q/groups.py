"""Rows in groups: spans of rows that lie together, or a code for each row."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.codes import Coded
from tickloop.analytics.q.gather_kernels import look
from tickloop.analytics.q.group_kernels import (
    codes_of_spans,
    count_codes,
    first_rows,
    order_by_code,
)

Longs = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


@dataclass
class Groups:
    """`count` groups of `rows` rows, in the order of their keys.

    Group k has the rows order[starts[k]:stops[k]]; where rows of a group lie together there is
    no `order`, and a span is the rows themselves.
    """

    rows: int
    starts: Longs
    stops: Longs
    coded: Coded | None = None
    # Running results that several aggregates read: by what they are of which array.
    shared: dict[tuple[str, int], tuple[object, ...]] = field(default_factory=dict, repr=False)

    @staticmethod
    def of_spans(rows: int, starts: Longs, stops: Longs) -> "Groups":
        """Make groups of rows that lie together."""
        return Groups(rows, starts, stops)

    @staticmethod
    def of_codes(coded: Coded) -> "Groups":
        """Make groups of a code for each row; every code has rows."""
        counts = np.zeros(coded.count, dtype=np.int64)
        count_codes(look(coded.codes), counts)
        stops = np.cumsum(counts)
        return Groups(len(coded.codes), stops - counts, stops, coded)

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.starts)

    @property
    def together(self) -> bool:
        """Whether the rows of each group lie together."""
        return self.coded is None

    @cached_property
    def counts(self) -> Longs:
        """How many rows each group has."""
        return self.stops - self.starts

    @cached_property
    def codes(self) -> Codes:
        """Each row's group."""
        if self.coded is not None:
            return self.coded.codes
        codes = np.empty(self.rows, dtype=np.int32)
        codes_of_spans(self.starts, self.stops, codes)
        return codes

    @cached_property
    def order(self) -> Longs:
        """Rows by group, each group's in row order."""
        if self.coded is None:
            return np.arange(self.rows, dtype=np.int64)
        order = np.empty(self.rows, dtype=np.int64)
        order_by_code(look(self.coded.codes), self.starts.copy(), order)
        return order

    @cached_property
    def firsts(self) -> Longs:
        """The first row of each group; every group has one."""
        if self.coded is None:
            return self.starts
        firsts = np.empty(self.count, dtype=np.int32)
        first_rows(look(self.coded.codes), firsts)
        return firsts.astype(np.int64)

    @cached_property
    def lasts(self) -> Longs:
        """The last row of each group."""
        if self.coded is None:
            return self.stops - 1
        return self.order[self.stops - 1]
