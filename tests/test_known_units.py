"""Units of a data directory's instruments hold over runs."""

from pathlib import Path

import numpy as np
import pytest

from tests.plants import NOON, trades
from tickloop.app.plant_run import PlantRun, RunSettings
from tickloop.core.batch import Batch
from tickloop.core.config import Config
from tickloop.core.errors import SchemaError
from tickloop.core.schema import INSTRUMENT

NULL = -(2**31)


def opened(root: Path) -> PlantRun:
    return PlantRun(root, Config(), RunSettings("UTC", False, False))


def describe(run: PlantRun, name: str, *, price_unit: int, size_unit: int = 0) -> None:
    """Publish an instrument's row, as feeds do beside declaring it."""
    columns: dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]] = {
        "time": np.array([NOON]),
        "sym": run.symbols.ids([name]),
        "price_unit": np.array([price_unit], dtype=np.int32),
        "size_unit": np.array([size_unit], dtype=np.int32),
    }
    run.plant.publish_batch(Batch(INSTRUMENT, columns))


@pytest.mark.parametrize("closed", [True, False], ids=["flushed", "killed"])
def test_a_feed_that_does_not_declare_again_gets_the_units_of_the_run_before(
    tmp_path: Path, closed: bool
) -> None:
    run = opened(tmp_path / "data")
    run.plant.instruments.declare(run.symbols.id("S0"), price_unit=-9, size_unit=0)
    describe(run, "S0", price_unit=-9)
    run.plant.commit()
    run.close() if closed else run.abandon()
    again = opened(tmp_path / "data")
    again.plant.publish_batch(trades(again.symbols, 2))  # inside price 1,000,000, then 1,000,001
    (part,) = again.database.snapshot().parts("trade")
    assert np.asarray(part.columns["price"]).tolist() == [0.001, 100.0001]  # S0, then S1 as usual
    with pytest.raises(SchemaError, match="keeps its units within one data directory"):
        again.plant.instruments.declare(again.symbols.id("S0"), price_unit=-4, size_unit=0)
    again.close()


def test_units_that_no_instrument_can_have_are_passed_over(tmp_path: Path) -> None:
    run = opened(tmp_path / "data")
    for name, unit in (("S0", 3), ("S1", NULL), ("S2", -99), ("S3", -2), ("S3", -5)):
        describe(run, name, price_unit=unit)
    run.close()
    again = opened(tmp_path / "data")
    known = [again.plant.instruments.declared(again.symbols.id(f"S{n}")) for n in range(5)]
    assert known == [None, None, None, (-2, 0), None]
    again.close()
