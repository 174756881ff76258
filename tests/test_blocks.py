"""Memory of long columns comes back when nobody looks at it, and never before."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tickloop.analytics.q.blocks import LEAST, Blocks
from tickloop.analytics.q.session import Session

COUNT = LEAST // 8


def place(column: np.ndarray) -> int:
    return int(column.__array_interface__["data"][0])


def test_a_block_is_lent_again_once_the_last_view_of_it_is_gone() -> None:
    blocks = Blocks()
    column = blocks.empty(COUNT, np.int64)
    where = place(column)
    view = column[10:20].view(np.float64)
    del column
    assert place(blocks.empty(COUNT, np.int64)) != where
    del view
    assert place(blocks.empty(COUNT, np.int64)) == where


def test_columns_of_about_one_size_share_a_block_whatever_their_type() -> None:
    blocks = Blocks()
    where = place(blocks.empty(COUNT * 2 - 3, np.int64))
    column = blocks.empty(COUNT * 4 - 100, np.int32)
    assert place(column) == where
    assert column.dtype == np.int32
    assert len(column) == COUNT * 4 - 100
    assert column.flags.writeable


def test_columns_in_use_never_overlap() -> None:
    blocks = Blocks(8 * LEAST)

    def work(number: int) -> bool:
        kept: list[tuple[int, np.ndarray]] = []
        for turn in range(60):
            column = blocks.empty(COUNT + 1000 * (turn % 7), np.int64)
            column[:] = number * 1000 + turn
            kept = [*kept[-3:], (number * 1000 + turn, column)]
            if not all((column == value).all() for value, column in kept):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_no_more_is_kept_than_allowed_and_all_of_it_can_be_released() -> None:
    blocks = Blocks(3 * LEAST)
    columns = [blocks.empty(COUNT, np.int64) for _ in range(5)]
    assert blocks.release() == 0
    del columns
    gc.collect()
    assert blocks.release() == 3 * LEAST
    assert blocks.release() == 0


def test_short_columns_are_the_allocators_own() -> None:
    blocks = Blocks()
    column = blocks.empty(10, np.float64)
    del column
    assert blocks.release() == 0


def test_garbage_that_q_collects_is_what_its_joins_left() -> None:
    session = Session()
    session.eval("t:([]time:til 300000);q:([]time:til 300000;bid:til 300000)")
    session.eval("r:aj[`time;t;q]")
    session.eval(".Q.gc[]")
    session.eval("delete r from `.")
    assert session.show(".Q.gc[]>=8*300000") == "1b\n"
