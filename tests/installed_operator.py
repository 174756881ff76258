"""An operator that is installed: a package with an entry point, as a desk would have its own."""

from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
COUNTING = '''
"""Counts trades in steps."""

import numpy as np
from tickloop.core.batch import Batch
from tickloop.core.operator import Scope, State
from tickloop.core.schema import SIGNAL

from {package}.sizes import STEP

from . import names


class Count:
    """How many trades there were, times a step."""

    name, version, scope = "count", 1, Scope.ALL
    tables, outputs, parameters = ("trade",), ("signal",), ()

    def initial(self, params):
        return State(1, {{"count": np.zeros(1, dtype=np.int64)}})

    def step(self, state, batch):
        rows, time = len(batch), batch.columns["time"]
        counts = state.arrays["count"][0] + STEP * (1 + np.arange(rows))
        state.arrays["count"][0] += STEP * rows
        columns = {{
            "time": time, "cause_time": time, "cause": batch.columns["seq"],
            "ordinal": np.zeros(rows, dtype=np.int64), "sym": batch.columns["sym"],
            "name": np.full(rows, names.NAME), "value": counts.astype(float),
        }}
        return state, [Batch(SIGNAL, columns)]
'''


def install(site: Path, package: str, point: str) -> Path:
    """Install it below a folder of `sys.path`; give the package's folder."""
    folder = site / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "sizes.py").write_text("STEP = 3\n")
    (folder / "names.py").write_text('NAME = b"count"\n')
    (folder / "unused.py").write_text("import pandas\n")
    (folder / "counting.py").write_text(COUNTING.format(package=package))
    told = site / f"{package}-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(METADATA.format(name=package))
    (told / "entry_points.txt").write_text(
        f"[tickloop.operators]\n{point} = {package}.counting:Count\n"
    )
    return folder
