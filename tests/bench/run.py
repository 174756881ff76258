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
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.figures import Figure, calibration, figure, number, table  # noqa: E402
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
    "sinks": _module("sinks"),
    "flink": _module("flink"),
    "questdb": _module("questdb"),
    "qsql": _module("qsql"),
    "start": _module("start"),
    "operators": _module("operators"),
    "gateway": _module("gateway"),
    "beside": _module("beside"),
    "pg": _module("pg"),
}
# These print lines of their own: beside peers, without a target.
PRINTED = ("binance", "pcap", "qipc", "rdb", "vendor")
_NOT_NOTED = dict.fromkeys(("machine", "system", "versions"), "not noted")


def _machine() -> dict[str, str]:
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.processor(),
    )  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("numpy", "numba", "duckdb", "pyarrow")
    versions = [f"{name} {version(name)}" for name in packages]
    return {
        "machine": f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
    }


def _commit() -> str:
    def told(*command: str) -> str:
        done = subprocess.run(
            ["git", *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = told("status", "--porcelain", "--untracked-files=no", "--", ":!docs")
    return told("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")


def _measured(name: str) -> dict[str, object]:
    """Measure a suite; note when, of what, and how fast the machine was before and after."""
    before = calibration()
    figures = SUITES[name]()
    return {
        "date": iso(WallClock().now())[:10],
        "commit": _commit(),
        "machine": _machine(),
        "calibration_s": [round(before.median, 4), round(calibration().median, 4)],
        "figures": [item.as_json() for item in figures],
    }


def _figures(suite: dict[str, object]) -> list[Figure]:
    assert isinstance(suite["figures"], list)
    return [
        Figure(**{name: value for name, value in item.items() if name != "reached"})
        for item in suite["figures"]
    ]


def page(found: dict[str, Any]) -> str:
    """Spell the page of what was measured."""
    suites = found["suites"]
    rows = [row for suite in suites.values() for row in table(_figures(suite))]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, never by hand. The machine is shared and noisy: trust ratios,",
        "and compare the calibration loop before comparing two runs.",
        "",
        "| " + " | ".join(_HEADINGS) + " |",
        "|---|---:|---:|---|---:|---|",
        *("| " + " | ".join(row).strip() + " |" for row in rows),
        "",
        "The calibration loop is two million steps of the interpreter, timed before and after:",
        "",
        "| suite | date | commit | calibration loop, s | machine | system | versions |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {suite['date']} | {suite['commit']} |"
            f" {' – '.join(map(number, suite['calibration_s']))} |"
            f" {' | '.join(suite.get('machine', _NOT_NOTED).values())} |"
            for name, suite in suites.items()
        ),
    ]
    if found["printed"]:
        lines += ["", "Beside peers, and without a target:", "", "```"]
        for name, text in found["printed"].items():
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
    suites = {}
    for name in filter(wanted.__contains__, SUITES):
        print(f"measuring {name} ...", file=sys.stderr)
        suites[name] = _measured(name)
    printed = {name: _printed(name) for name in PRINTED if name in wanted}
    for row in (_HEADINGS, *(row for suite in suites.values() for row in table(_figures(suite)))):
        print(f"{row[0]:56} {row[1]:>12} {row[2]:>24} {row[3]:11} {row[4]:>11}  {row[5]}")
    for name, text in printed.items():
        print(f"\n# {name}\n{text}")
    _keep(suites, printed)


def _keep(suites: dict[str, dict[str, object]], printed: dict[str, str]) -> None:
    """Put what was measured in place of the last figures of the same suites, and spell the page."""
    try:
        known = json.loads(DATA.read_text())
    except FileNotFoundError:
        known = {"suites": {}, "printed": {}}
    merged = {**known["suites"], **suites}
    known = {
        "suites": {name: merged[name] for name in SUITES if name in merged},
        "printed": {**known["printed"], **printed},
    }
    DATA.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(known))


if __name__ == "__main__":
    main()
