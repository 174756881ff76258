"""`tickloop journal` on good logs, damaged ones, and files that are no logs."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import good, tickloop
from tests.log_oracle import messages

FEED = ("--feed", "synthetic:2024-01-02", "--messages", "10000", "--symbols", "3")


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("journal") / "day"
    good("run", *FEED, "--cut-ms", "600000", "--data", data)
    return data


@pytest.fixture
def day(captured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(captured, tmp_path / "day"))


@pytest.fixture
def log(day: Path) -> Path:
    return day / "journal" / "2024-01-02.log"


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(content)


def test_inspect_counts_what_a_slow_reader_counts(captured: Path) -> None:
    log = captured / "journal" / "2024-01-02.log"
    found = good("journal", "inspect", log, "--json").json
    expected: dict[str, int] = {}
    seqs = []
    for table, columns in messages(log):
        expected[table] = expected.get(table, 0) + len(columns[0])
        seqs += columns[-1]
    assert found["rows"] == expected
    assert found["messages"] == sum(1 for _ in messages(log))
    assert (found["first_seq"], found["last_seq"]) == (min(seqs), max(seqs))
    assert sorted(seqs) == list(range(1, max(seqs) + 1))
    assert found["bytes"] == log.stat().st_size
    shown = good("journal", "inspect", "--data", captured, "--limit", "3").out.splitlines()
    assert sum(line.startswith("  byte") for line in shown) == 3
    assert any("trade" in line and f"{expected['trade']:,} rows" in line for line in shown)


def test_a_good_log_is_verified_to_the_last_byte(captured: Path) -> None:
    found = good("journal", "verify", "--data", captured, "--json").json
    assert (found["good"], found["unverified_bytes"], found["damage"]) == (True, 0, [])
    assert "good" in good("journal", "verify", "--data", captured).out
    log = captured / "journal" / "2024-01-02.log"
    assert "nothing to repair" in good("journal", "repair", log).out


def test_a_flipped_bit_is_found_and_the_rest_kept(day: Path, log: Path) -> None:
    whole = good("journal", "verify", log, "--json").json
    offset = log.stat().st_size // 2
    flip(log, offset)
    ill = tickloop("journal", "verify", log, "--json")
    assert ill.code == 1
    start, end = (int(word) for word in ill.json["damage"][-1].split(":")[0].split()[1::2])
    assert start <= offset < end
    shown = tickloop("journal", "verify", "--data", day)
    assert shown.code == 1
    assert "DAMAGED" in shown.out
    assert f"tickloop journal repair {log}" in shown.out
    before = log.read_bytes()
    done = good("journal", "repair", log)
    assert "left out bytes" in done.err
    assert re.search(r"rows in there: .*trade [\d,]+.*one flipped bit costs its group", done.err)
    mended = good("journal", "verify", log, "--json").json
    assert 0.3 * whole["messages"] < mended["messages"] < whole["messages"]
    originals = list(log.parent.glob("*.damaged-*"))
    assert [path.read_bytes() for path in originals] == [before]


def test_a_torn_tail_is_cut_by_the_next_run_which_also_goes_on_after_a_repair(
    day: Path, log: Path
) -> None:
    with log.open("ab") as file:
        file.write(b"\x00\x00\x03\x00\x00\x00\xf5upd\x00\xf5trade\x00 and then the power went")
    tickloop("journal", "verify", log).refused()
    done = good("run", *FEED[:2], "--messages", "11000", "--symbols", "3", "--data", day)
    assert "bytes cut at byte" in done.out
    good("journal", "verify", log)
    flip(log, log.stat().st_size // 2)
    good("journal", "repair", log)
    # The next capture goes on after a mended log.
    good("run", *FEED[:2], "--messages", "12000", "--symbols", "3", "--data", day)


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path, day: Path) -> None:
    other = tmp_path / "letter.txt"
    other.write_text("Dear Sir or Madam")
    verified = tickloop("journal", "verify", other)
    assert verified.code == 1
    assert "not a tickerplant log's header" in verified.out
    assert "repair" not in verified.out
    tickloop("journal", "repair", other).refused("no message in its 17 bytes", "is it a log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day", "letter.txt"]
    tickloop("journal", "inspect", tmp_path / "nope.log").refused("no such journal file")
    (tmp_path / "empty").mkdir()
    tickloop("journal", "verify", "--data", tmp_path / "empty").refused("no journal files there")


def test_a_log_is_repaired_where_it_was_copied_to(tmp_path: Path, log: Path) -> None:
    copy = Path(shutil.copy(log, tmp_path / "copy.log"))
    flip(copy, copy.stat().st_size // 2)
    good("journal", "repair", copy)
    assert json.loads(good("journal", "verify", copy, "--json").out)["good"]
    assert not (tmp_path / "lock").exists()
    assert not (tmp_path.parent / "lock").exists()


def test_another_tickerplants_log_is_checked_and_told_apart_from_a_damaged_one(
    market_data: Callable[[str], Path], tmp_path: Path
) -> None:
    real = market_data("kdb/tplog/stp1_trade20220616122504")
    for command in ("inspect", "verify"):
        shown = good("journal", command, real).out
        assert "another tickerplant's log, 99,435 bytes, 306 messages, no checksums" in shown
        assert re.search(r"trade +2,409 rows", shown)
        assert "it parses to its end" in shown
    cut = tmp_path / "cut.log"
    cut.write_bytes(real.read_bytes()[:-10])
    torn = tickloop("journal", "verify", cut, "--json")
    assert (torn.code, torn.json["good"], torn.json["messages"]) == (1, False, 305)
    tickloop("journal", "repair", cut).refused("another tickerplant's log")
    played = tickloop("replay", "--journal", real, "--data", tmp_path / "new")
    played.refused("another tickerplant's log", "journal inspect")
    assert not (tmp_path / "new").exists()
