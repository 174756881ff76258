"""The benchmark page is what the benchmark command measured last."""

import json
from pathlib import Path

from tests.bench.run import page

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_s_figures_are_the_command_s_last_output() -> None:
    found = json.loads((DOCS / "benchmarks.json").read_text())
    assert len(found["suites"]) > 1, "nothing was measured"
    assert (DOCS / "benchmarks.md").read_text() == page(found)
