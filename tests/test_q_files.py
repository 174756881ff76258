"""Files of a q session that may touch them, read and written as kdb+ does."""

from pathlib import Path

import pytest

from tests.q_lines import refused, typed
from tickloop.analytics.q.session import Session

VALUES = [
    "5", "1 2 3", "`a`b", '"text"', "(1;`a;\"b\")", "`a`b!1 2", "([]a:1 2;b:`x`y)",
    "([k:`a`b]v:1.5 2.5)", "2024.01.15D09:30 0Np", "()", "{x+y}", "(1 2;3 4)", "0x0102", "`s#1 2 3",
]  # fmt: skip


@pytest.fixture
def session() -> Session:
    """Make a session that may touch files."""
    return Session(files=True)


@pytest.mark.parametrize("text", VALUES)
def test_a_value_is_read_back_as_it_was_written(
    session: Session, tmp_path: Path, text: str
) -> None:
    assert typed(f"`:{tmp_path}/v set {text}", session=session) == f"`:{tmp_path}/v"
    assert typed(f"(get`:{tmp_path}/v)~{text}", session=session) == "1b"
    assert typed(f"(value`:{tmp_path}/v)~{text}", session=session) == "1b"


def test_a_file_begins_as_an_object_of_kdb(session: Session, tmp_path: Path) -> None:
    session.show(f"`:{tmp_path}/v set `a`b")
    assert (tmp_path / "v").read_bytes() == b"\xff\x01\x0b\x00\x02\x00\x00\x00a\x00b\x00"


def test_text_is_read_by_lines_and_by_bytes(session: Session, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"one\r\ntwo\n")
    assert typed(f"read0`:{tmp_path}/t.txt", session=session) == '"one"\n"two"'
    assert typed(f"3#read1`:{tmp_path}/t.txt", session=session) == "0x6f6e65"
    assert typed(f"hcount`:{tmp_path}/t.txt", session=session) == "9"


def test_variables_are_saved_and_loaded_by_name(session: Session, tmp_path: Path) -> None:
    session.show("t:([]a:1 2;b:`x`y)")
    session.show(f"save`:{tmp_path}/t")
    session.show(f"save`:{tmp_path}/t.csv")
    assert (tmp_path / "t.csv").read_text() == "a,b\n1,x\n2,y\n"
    other = Session(files=True)
    assert typed(f"load`:{tmp_path}/t", session=other) == "`t"
    assert typed("t", session=other) == "a b\n---\n1 x\n2 y"


def test_a_script_is_loaded_in_its_namespace(session: Session, tmp_path: Path) -> None:
    (tmp_path / "f.q").write_text("\\d .lib\nadd:{\n  x+y\n  }\n\\d .\nr:.lib.add[1;2]\n")
    assert typed(f"\\l {tmp_path}/f.q", "r", session=session) == "3"


def test_files_are_deleted(session: Session, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"one")
    session.show(f"hdel`:{tmp_path}/t.txt")
    assert not (tmp_path / "t.txt").exists()


@pytest.mark.parametrize(
    "word",
    ["get", "read0", "read1", "hcount", "hdel", "load"],
)
def test_a_file_that_is_not_there_is_named(session: Session, tmp_path: Path, word: str) -> None:
    error = refused(f"{word}`:{tmp_path}/none", session=session)
    assert str(tmp_path) in error.name
    assert error.sentence


@pytest.mark.parametrize(
    "line", ["get`:{}/f", "`:{}/f set 1", "read0`:{}/f", "read1`:{}/f", "hcount`:{}/f",
             "hdel`:{}/f", "load`:{}/f", "save`:{}/f", "\\l {}/f", "`:{}/f 0:enlist\"a\""],
)  # fmt: skip
def test_a_session_touches_no_file_unless_it_may(tmp_path: Path, line: str) -> None:
    (tmp_path / "f").write_bytes(b"one")
    assert refused(line.replace("{}", str(tmp_path))).name == "access"
    assert (tmp_path / "f").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
