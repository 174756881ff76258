"""Wrong input to the command ends with a sentence to act on, and leaves nothing behind."""

import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import good, running, sql, tickloop, wait_for

Find = Callable[[str], Path]
FEED = "synthetic:2024-01-02"
SMALL = ("--messages", "10000", "--symbols", "3")


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capture one small day, to be copied by who writes into it."""
    data = tmp_path_factory.mktemp("refusals") / "day"
    good("run", "--feed", FEED, *SMALL, "--data", data)
    return data


@pytest.fixture
def day(captured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(captured, tmp_path / "day"))


TEXT = b"hello world, this is no market data\n" * 50
NAMES = {
    "itch": "20240102.itch", "pcap": "a.pcap", "dbn": "a.dbn", "binance": "a.txt",
    "lobster": "AAPL_2012-06-21_34200000_57600000_message_1.csv",
}  # fmt: skip
OF_A_WRONG_KIND = {
    "itch": "unknown message type .* an ITCH 5.0 message expected",
    "pcap": "byte 0: magic .* is neither pcap .* nor pcapng",
    "lobster": "is a LOBSTER message; expected time,type,order id",
    "dbn": r"starts with b'hell', expected b'DBN'",
    "binance": "no Binance frame among the first",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_file_of_a_wrong_kind_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / NAMES[kind]
    path.write_bytes(TEXT)
    done = tickloop("run", "--feed", f"{kind}:{path}", "--data", tmp_path / "day")
    done.refused(path.name, OF_A_WRONG_KIND[kind])
    assert done.out == ""
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", NAMES)
def test_an_empty_file_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / NAMES[kind]
    path.touch()
    done = tickloop("run", "--feed", f"{kind}:{path}", "--data", tmp_path / "day")
    done.refused(path.name, "empty|no message|ends", "expected")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", NAMES)
def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path, kind: str) -> None:
    for target in (tmp_path / "nothing", tmp_path):
        done = tickloop("run", "--feed", f"{kind}:{target}", "--data", tmp_path / "day")
        done.refused(str(target), "no such file", "a file that exists")
    assert not list(tmp_path.iterdir())


def test_a_file_without_a_date_asks_for_one(tmp_path: Path) -> None:
    path = tmp_path / "day.itch"
    path.write_bytes(b"\0\x0cS")
    asked = tickloop("run", "--feed", f"itch:{path}", "--data", tmp_path / "day")
    asked.refused("no date in the file's name", "--date YYYY-MM-DD")
    lobster = tmp_path / "messages.csv"
    lobster.write_text("34200.004241176,1,16113575,18,5853300,1\n")
    command = ("run", "--feed", f"lobster:{lobster}", "--data", tmp_path / "day")
    tickloop(*command).refused("tells no symbol", "--symbol NAME")
    tickloop(*command, "--symbol", "AAPL").refused("tells no date", "--date YYYY-MM-DD")
    told = tickloop(*command, "--symbol", "AAPL", "--date", "2012-06-21")
    assert told.code == 0, told.err
    assert sql(tmp_path / "day", "SELECT date, sym FROM book") == [
        {"date": "2012-06-21", "sym": "AAPL"}
    ]


USAGE = [
    (["--date", "2019-13-01"], "'2019-13-01' seen, a date such as"),
    (["--zone", "Mars/Olympus"], "'Mars/Olympus' seen, a time zone such as America/New_York"),
    (["--speed", "nan"], "a finite number expected"),
    (["--speed", "-1"], "--speed"),
    (["--cut-ms", "inf"], "a finite number expected"),
    (["--port", "70000"], "--port"),
    (["--feed", "foo:bar"], "'foo:bar' seen, KIND:PATH expected(.|\n)*lobster:"),
    (["--feed", "itch"], "'itch' seen, KIND:PATH expected"),
    (["--feed", "synthetic:tomorrow"], "'tomorrow' seen, a date such as synthetic:2024-01-02"),
]


@pytest.mark.parametrize(("arguments", "sentence"), USAGE)
def test_a_wrong_option_is_a_usage_error(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = tickloop("run", "--feed", FEED, "--data", tmp_path / "day", *arguments)
    done.refused(sentence, code=2)
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_data_directory_should_be_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for data in (file, file / "below"):
        done = tickloop("run", "--feed", FEED, *SMALL, "--data", data)
        done.refused(str(data), "a file stands where", "give another --data")
    tickloop("sql", "--data", file, "SELECT 1").refused("is a file, a data directory expected")


def test_a_directory_with_other_files_is_neither_used_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("years of work")
    for option in ([], ["--fresh"], ["--append"]):
        done = tickloop("run", "--feed", FEED, *SMALL, "--data", tmp_path, *option)
        done.refused("holds other files and is no tickloop data directory", "another --data")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]
    tickloop("sql", "--data", tmp_path, "SELECT * FROM trade").refused("neither a capture nor")


def test_a_directory_that_cannot_be_written_is_refused(
    tmp_path: Path, mounted: Callable[[str], Path]
) -> None:
    if os.geteuid() == 0:
        folder = mounted("ro")  # root may write whatever the permissions say
    else:
        folder = tmp_path / "folder"
        folder.mkdir(mode=0o555)
    done = tickloop("run", "--feed", FEED, *SMALL, "--data", folder / "day")
    done.refused(str(folder / "day"), "cannot be written", "another --data")


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("itch", b"", "an empty file seen"),
        ("itch", b"# A letter, not a feed\n", "is this an ITCH 5.0 file"),
        ("lobster", b"# A letter, not a feed\n", "a LOBSTER message .* expected"),
    ],
)
def test_a_wrong_file_is_called_that_before_a_date_or_symbol_is_asked_for(
    tmp_path: Path, kind: str, content: bytes, said: str
) -> None:
    path = tmp_path / "letter"
    path.write_bytes(content)
    done = tickloop("run", "--feed", f"{kind}:{path}", "--data", tmp_path / "day")
    done.refused(said)
    assert "--date" not in done.err
    assert "--symbol" not in done.err
    assert not (tmp_path / "day").exists()


def test_a_bad_configuration_is_refused_by_commands_that_need_none_of_its_keys(
    tmp_path: Path, day: Path
) -> None:
    (tmp_path / "bad.toml").write_text("[plant]\nnam = 'x'\n")
    told = ("bad.toml:2: plant.nam: unknown key; did you mean 'name'",)
    option = ("--data", day, "--config", tmp_path / "bad.toml")
    tickloop("sql", *option, "SELECT 1").refused(*told)
    tickloop("journal", "verify", *option).refused(*told)
    tickloop("hdb", "info", *option).refused(*told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 'absent.q'\n", "absent.q: cannot be read"),
        ("[tables.trade]\nprice = 'float'\n", "'trade' is one of tickloop's own names"),
    ],
)
def test_tables_that_cannot_be_leave_no_directory_behind(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "tables.toml").write_text(text)
    option = ("--data", tmp_path / "day", "--config", tmp_path / "tables.toml")
    tickloop("run", "--feed", FEED, *SMALL, *option).refused(said)
    assert not (tmp_path / "day").exists()


def test_the_same_feed_twice_is_refused_appended_or_begun_again(day: Path) -> None:
    command = ("run", "--feed", FEED, *SMALL, "--data", day)
    (before,) = sql(day, "SELECT count(*) n, sum(size) s, max(seq) q FROM trade")
    tickloop(*command).refused("already holds synthetic:2024-01-02", "--append", "--fresh")
    assert sql(day, "SELECT count(*) n, sum(size) s, max(seq) q FROM trade") == [before]
    appended = good(*command, "--append").out
    assert re.search(r"times +[\d,]+ rows are older than the last one that was here", appended)
    (twice,) = sql(day, "SELECT count(*) n, sum(size) s, max(seq) q FROM trade")
    assert (int(twice["n"]), int(twice["s"])) == (2 * int(before["n"]), 2 * int(before["s"]))
    tickloop(*command).refused("already holds")
    good(*command, "--fresh")
    assert sql(day, "SELECT count(*) n, sum(size) s, max(seq) q FROM trade") == [before]


def test_a_directory_that_another_run_holds_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "day"
    pace = ("--speed", "1", "--port", "0")
    with running("run", "--feed", FEED, *SMALL, *pace, "--data", data) as process:
        wait_for((data / "run.json").exists, process)
        for option in ([], ["--fresh"]):
            other = tickloop(
                "run", "--feed", "synthetic:2024-01-03", *SMALL, "--data", data, *option
            )
            other.refused(f"is being written by process {process.pid}, started 20", "stop it first")
        assert process.poll() is None
        logs = sorted((data / "journal").glob("*.log"))
        wait_for(lambda: sorted((data / "journal").glob("*.log")), process)
        done = tickloop("journal", "repair", *logs[:1], "--data", data)
        done.refused("is being written by") if logs else None


def test_a_port_in_use_is_refused_with_its_number(day: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ("run", "--feed", FEED, *SMALL, "--stay", "--port", port)
        done = tickloop(*map(str, command), "--data", tmp_path / "new")
    done.refused(f"port {port} on 127.0.0.1 is in use", "--port")
    assert not (tmp_path / "new").exists()
