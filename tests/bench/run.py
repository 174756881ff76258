"""Every benchmark in one command: prints a table and writes docs/benchmarks.md from it.

Run as `make bench`, or `python tests/bench/run.py --only journal --only plant`.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.figures import Figure, calibration, figure, table  # noqa: E402
from tickloop.core.clock import WallClock, iso  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"
DATA = ROOT / "docs" / "benchmarks.json"
_HEADINGS = ("workload", "median", "lowest – highest", "unit", "target", "reached")


def _itch() -> list[Figure]:
    from tests.bench import bench_itch

    runs = [bench_itch.measure(repeats=1) for _ in range(3)]

    def of(name: str) -> list[float]:
        return [run[name] for run in runs]

    return [
        figure("ITCH decode to columns", "ns/message", of("decode_ns_per_message"), at_most=20),
        figure("ITCH decode, times the PyPI parser itchfeed", "×", of("times_itchfeed"),
               at_least=100),
        figure("ITCH decode and books of 400 symbols with BBO rows", "ns/message",
               of("decode_and_books_ns_per_message"), at_most=150),
        figure("ITCH to finished slices, depth 5", "ns/message",
               of("slices_with_depth_5_ns_per_message")),
    ]  # fmt: skip


def _synthetic() -> list[Figure]:
    from tests.bench import bench_synthetic

    runs = [bench_synthetic.measure(repeats=1) for _ in range(3)]
    return [figure("synthetic day of 2M messages", "s", [run["day_seconds"] for run in runs])]


def _module(name: str) -> Callable[[], list[Figure]]:
    def measure() -> list[Figure]:
        found: list[Figure] = importlib.import_module(f"tests.bench.bench_{name}").measure()
        return found

    return measure


SUITES: dict[str, Callable[[], list[Figure]]] = {
    "itch": _itch,
    "synthetic": _synthetic,
    "plant": _module("plant"),
    "journal": _module("journal"),
    "hdb": _module("hdb"),
    "start": _module("start"),
}
# These print lines of their own: beside peers, without a target.
PRINTED = ("binance", "pcap", "qipc", "rdb", "vendor")


def _machine() -> dict[str, str]:
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.processor(),
    )  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    ).stdout.strip()  # fmt: skip
    return {
        "date": iso(WallClock().now())[:10],
        "commit": commit,
        "machine": f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}",
        "versions": ", ".join(
            f"{name} {number}"
            for name, number in (
                ("Python", platform.python_version()),
                ("NumPy", version("numpy")),
                ("Numba", version("numba")),
            )
        ),
    }


def page(found: dict[str, object]) -> str:
    """Spell the page of a run."""
    figures = [
        Figure(**{name: value for name, value in item.items() if name != "reached"})
        for suite in found["suites"].values()  # type: ignore[attr-defined]
        for item in suite
    ]
    machine = found["machine"]
    assert isinstance(machine, dict)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, never by hand. The machine is shared and noisy: trust ratios,",
        "and compare the calibration loop before comparing two runs.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        "| " + " | ".join(_HEADINGS) + " |",
        "|---|---:|---:|---|---:|---|",
        *("| " + " | ".join(row).strip() + " |" for row in table(figures)),
    ]
    printed = found["printed"]
    assert isinstance(printed, dict)
    if printed:
        lines += ["", "Beside peers, and without a target:", "", "```"]
        for name, text in printed.items():
            lines += [f"# {name}", *text.splitlines(), ""]
        lines[-1] = "```"
    return "\n".join(lines) + "\n"


def _printed(name: str) -> str:
    """Run a benchmark that prints for itself; machine paths stay out of the page."""
    done = subprocess.run(
        [sys.executable, f"tests/bench/bench_{name}.py"], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    text = done.stdout if done.returncode == 0 else f"not run: {done.stderr.splitlines()[-1]}"
    return text.replace(str(ROOT), ".").strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the page if everything was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[*SUITES, *PRINTED], default=[])
    wanted = parser.parse_args(arguments).only or [*SUITES, *PRINTED]
    suites = {"calibration": [calibration()]}
    for name in filter(wanted.__contains__, SUITES):
        print(f"measuring {name} ...", file=sys.stderr)
        suites[name] = SUITES[name]()
    printed = {name: _printed(name) for name in PRINTED if name in wanted}
    for row in (_HEADINGS, *table([item for suite in suites.values() for item in suite])):
        print(f"{row[0]:56} {row[1]:>12} {row[2]:>24} {row[3]:11} {row[4]:>11}  {row[5]}")
    for name, text in printed.items():
        print(f"\n# {name}\n{text}")
    _keep(suites, printed)


def _keep(suites: dict[str, list[Figure]], printed: dict[str, str]) -> None:
    """Put what was measured in place of the last figures of the same suites, and spell the page."""
    try:
        known = json.loads(DATA.read_text())
    except FileNotFoundError:
        known = {"suites": {}, "printed": {}}
    known["machine"] = _machine()
    known["suites"] |= {
        name: [item.as_json() for item in figures] for name, figures in suites.items()
    }
    known["printed"] |= printed
    DATA.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(known))


if __name__ == "__main__":
    main()
