"""Everything on one machine: plant, Kafka, QuestDB, four Flink jobs and the gateway, from nothing.

Run as `make demo-distributed`, or `python infra/demo/distributed.py --feed KIND:PATH`. It prints
every command before it runs it, compares what arrived where, and stops what it started.
"""

import argparse
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = [sys.executable, "-m", "tickloop.app"]
STREAMS = ("bars", "signals", "pairs", "quality")
COMPARED = ("trade", "quote", "bar", "signal")
CONFIGURATION = """\
# Made by the demo: where `tickloop up` put the servers.
[sinks.kafka]
bootstrap = "{kafka}"
prefix = "demo."
shards = 2

[sinks.questdb]
address = "{questdb}"
tables = "trade quote bar signal"

[flink]
rest = "http://{flink}"
streams = "bars signals pairs quality"

[stream.bars]
interval = "1m"

[stream.signals]

[stream.pairs]
pairs = "{pairs}"

[stream.quality]
"""


def shown(*arguments: str) -> list[str]:
    """Print a command as a person types it; give it as it is run."""
    print(f"\n$ tickloop {shlex.join(arguments)}", flush=True)
    return [*COMMAND, *arguments]


def run(*arguments: str) -> None:
    """Run a command; a failure ends the demo."""
    subprocess.run(shown(*arguments), check=True)


def ask(*arguments: str) -> str:
    """Run a command for what it prints, without a word about it."""
    done = subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


@contextmanager
def servers(home: Path) -> Iterator[dict[str, str]]:
    """Start the servers, a task manager for each job; give their addresses; stop them."""
    place = ("--home", str(home))
    try:
        run("up", "all", "--workers", str(len(STREAMS)), "--memory", "flink=1024", *place)
        found = json.loads(ask("status", "--json", *place))
        yield {each["server"]: _address(each) for each in found}
    finally:
        run("down", *place)


def _address(running: dict[str, dict[str, int]]) -> str:
    return f"127.0.0.1:{next(iter(running['ports'].values()))}"


def counts(data: Path, config: Path, place: str) -> dict[str, int]:
    """Count rows of the compared tables where `place` says."""
    union = " UNION ALL ".join(f"SELECT '{t}' AS name, count(*) AS n FROM {t}" for t in COMPARED)
    found = ask("sql", "--data", str(data), "--config", str(config), "--on", place,
                "--format", "json", union)  # fmt: skip
    rows = [json.loads(line) for line in found.splitlines()]
    return {row["name"]: row["n"] for row in rows}


def compare(data: Path, config: Path) -> bool:
    """Say how many rows are where; tell whether they agree."""
    run("kafka", "verify", "--data", str(data), "--config", str(config))
    here, there = (counts(data, config, place) for place in ("hdb", "questdb"))
    print(f"\n{'table':8}{'history':>12}{'QuestDB':>12}")
    for name in COMPARED:
        print(f"{name:8}{here[name]:>12,}{there[name]:>12,}")
    return here == there and min(here.values()) > 0


def begin_anew(folder: Path) -> None:
    """Forget the last demo: its day, and what its servers hold of it, belong together."""
    if (folder / "servers").exists():
        run("down", "--home", str(folder / "servers"))
    for part in ("day", "servers"):
        shutil.rmtree(folder / part, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def main() -> int:
    """Run the demo; 0 if every place has the same rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feed", default="synthetic:2024-01-02")
    parser.add_argument("--messages", default="200000", help="of the synthetic day")
    parser.add_argument("--pairs", default="", help="as in LEFT/RIGHT, of the feed's symbols")
    parser.add_argument("--folder", type=Path, default=Path("data") / "demo-distributed")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped then as well
    folder, config = wanted.folder, wanted.folder / "distributed.toml"
    begin_anew(folder)
    synthetic = wanted.feed.startswith("synthetic:")
    size = ["--messages", wanted.messages, "--symbols", "20"] if synthetic else []
    pairs = wanted.pairs or ("TECHA/TECHB" if synthetic else "")
    with servers(folder / "servers") as addresses:
        config.write_text(CONFIGURATION.format(**addresses, pairs=pairs))
        day = ("--data", str(folder / "day"), "--config", str(config))
        run("run", "--feed", wanted.feed, *size, *day)
        run("stream", "status", "--config", str(config))
        run("top", "--once", *day)
        run("sql", "--data", str(folder / "day"), "SELECT * FROM bar ORDER BY time DESC LIMIT 5")
        agrees = compare(folder / "day", config)
    print("\nevery row is everywhere" if agrees else "\nrows differ; see above")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
