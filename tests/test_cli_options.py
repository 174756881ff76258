"""Help, configuration, versions and the doctor: what a new user meets first."""

import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import COMMAND, good, tickloop
from tickloop.core.config import Config, load

COMMANDS = (
    *("run", "capture", "replay", "sql", "doctor", "version", "config show"),
    *("journal inspect", "journal verify", "journal repair", "hdb info", "hdb import"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = good(*command.split(), "--help")
    assert "Example" in done.out
    assert f"  tickloop {command}" in done.out
    assert all(len(line) <= 100 for line in done.out.splitlines())


def test_help_loads_no_numbers() -> None:
    program = (
        "import sys; from tickloop.app.cli import exit_code; code = exit_code(['--help']);"
        "heavy = {'numpy', 'numba', 'pyarrow', 'duckdb', 'asyncio'} & set(sys.modules);"
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "Commands:" in done.stdout


def test_help_takes_a_small_multiple_of_starting_python() -> None:
    def median(command: list[str]) -> float:
        taken = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    # 0.3 s where an empty program takes 0.02 s; it is about 5 times on an idle machine.
    assert median([*COMMAND, "--help"]) < 15 * median([sys.executable, "-c", "pass"])


def test_usage_errors_exit_with_2_and_say_where_help_is(tmp_path: Path) -> None:
    for arguments in (["sqll"], ["run", "--bogus"], ["sql", "a", "b"], ["journal", "frobnicate"]):
        tickloop(*arguments, cwd=tmp_path).refused("Try 'tickloop", "--help", code=2)
    tickloop("sqll").refused("no command 'sqll'; there are run, capture", code=2)
    assert not list(tmp_path.iterdir())


def test_the_shown_configuration_reads_back_as_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tickloop.toml"
    path.write_text(good("config", "show").out)
    assert load(path) == Config()
    assert good("config", "show", "--config", path).out == path.read_text()
    shown = good("config", "show", "--config", path, "--json").json
    assert shown["serve"]["port"] == 5010
    assert shown["plant"]["sync"] == "interval"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("[serve]\nprt = 1\n", ["tickloop.toml:2", "serve.prt", "unknown key", "'port'"]),
        ("[plant]\n\nzone = 'Mars/Olympus'\n", ["tickloop.toml:3", "plant.zone", "time zone"]),
        ("[store]\nflush_rows = 1\n", ["tickloop.toml:2", "at least 1000 rows"]),
        ("[store]\nflush_rows = 'many'\n", ["tickloop.toml:2", "'many'", "whole number"]),
        ("[feed]\ncut_ms = inf\n", ["tickloop.toml:2", "finite"]),
        ("[serve\n", ["tickloop.toml", "not TOML"]),
    ],
)
def test_a_wrong_configuration_is_refused_with_file_line_and_key(
    tmp_path: Path, text: str, pieces: list[str]
) -> None:
    path = tmp_path / "tickloop.toml"
    path.write_text(text)
    tickloop("config", "show", "--config", path).refused(*pieces)
    done = tickloop("run", "--feed", "synthetic:2024-01-02", "--config", path, cwd=tmp_path)
    done.refused(*pieces)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tickloop.toml"]


def test_versions_are_printed_for_people_and_programs() -> None:
    shown = good("version", "--json").json
    lines = good("version").out.splitlines()
    assert {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines} == shown
    assert {"tickloop", "python", "numpy", "numba", "duckdb"} <= shown.keys()


def test_the_doctor_finds_a_port_that_is_taken(tmp_path: Path) -> None:
    config = tmp_path / "tickloop.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(f"[serve]\nport = {port}\n")
        ill = tickloop("doctor", "--config", config, "--json", cwd=tmp_path)
    findings = {finding["check"]: finding for finding in json.loads(ill.out)}
    assert ill.code == 1
    assert findings[f"port {port}"]["state"] == "problem"
    assert "stop what listens there" in findings[f"port {port}"]["fix"]
    well = good("doctor", "--config", config, "--json", cwd=tmp_path)
    assert all(finding["state"] != "problem" for finding in well.json)
    assert "PROBLEM" not in good("doctor", "--config", config, cwd=tmp_path).out


def test_the_doctor_finds_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    config, file = tmp_path / "tickloop.toml", tmp_path / "file"
    config.write_text("[serve]\nport = 0\n")
    file.touch()
    done = tickloop("doctor", "--config", config, "--data", file)
    assert done.code == 1
    assert "PROBLEM  data" in done.out
    assert "is no directory" in done.out
