"""Databases of q: tables in directories, partitions, files written to, streamed and cut."""

from pathlib import Path

import pytest

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session
from tickloop.tickerplant.hdb_reader import HdbReader


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Session(files=True)
    made.directory = tmp_path
    return made


@pytest.mark.parametrize(
    "text",
    [
        "42", "`a", '"text"', "1 2 0N", "`s#1 2 3", "`a`b`c", "2024.01.02D10:00 0Np", "0x010203",
        '(1;`a;"b")', '("ab";"c";"")', "(1 2;3 4 5;0#0)", "`a`b!(1 2;3 4)", "()", "01101b",
        '([]a:1 2;b:`x`y;c:("p";"qr"))', "([k:`a`b]v:1.5 2.5)", "{x+y}", "2?0Ng", "1 0n 0w",
    ],
)  # fmt: skip
def test_what_is_set_is_what_is_got(session: Session, text: str) -> None:
    session.eval(f"`:dir/file set v:{text}")
    assert session.show("v~get`:dir/file") == "1b\n"


def test_a_splayed_table_is_read_again_with_its_symbols_and_lists(session: Session) -> None:
    session.eval('t:([]sym:`b`a`b;px:1 2 3f;s:("ab";"";"def");n:(1 2;3 4 5;0#0))')
    session.eval("`:db/t/ set .Q.en[`:db]t")
    assert session.show("t~update value sym from select from `:db/t/") == "1b\n"
    assert session.show("get`:db/sym") == "`b`a\n"
    assert session.show("key`:db") == "`s#`sym`t\n"


def test_symbols_without_a_domain_are_no_column_on_disk(session: Session) -> None:
    with pytest.raises(QError, match=r"^type"):
        session.eval("`:db/t/ set ([]sym:`a`b)")


def test_rows_are_appended_to_a_table_on_disk(session: Session) -> None:
    session.eval('t:([]sym:`a`b;px:1 2f;s:("x";"yz"));more:([]sym:`c`a;px:3 4f;s:("";"w"))')
    session.eval("`:db/t/ set .Q.en[`:db]t; `:db/t/ upsert .Q.en[`:db]more")
    assert session.show("(t,more)~update value sym from get`:db/t") == "1b\n"


def test_an_older_mapping_keeps_its_rows_when_the_file_is_written_again(session: Session) -> None:
    session.eval("`:v set til 5; old:get`:v; `:v set 10+til 3; `:v upsert 1 2")
    assert session.show("old") == "0 1 2 3 4\n"
    assert session.show("get`:v") == "10 11 12 1 2\n"


def test_partitions_saved_by_a_field_are_a_database(session: Session, tmp_path: Path) -> None:
    session.eval("trade:([]price:1 2 3 4f;sym:`b`a`b`a)")
    session.eval(".Q.dpft[`:hdb;;`sym;`trade] each 2024.01.02 2024.01.03")
    session.eval("quote:([]sym:`a`b;bid:1 2f); .Q.dpft[`:hdb;2024.01.03;`sym;`quote]; .Q.chk`:hdb")
    reader = HdbReader(tmp_path / "hdb")
    assert (reader.tables, len(reader.partitions)) == (["quote", "trade"], 2)
    session.eval("\\l hdb")
    assert session.show("select sum price by date,sym from trade where date>2024.01.02") == (
        "date       sym| price\n--------------| -----\n2024.01.03 a  | 6    \n"
        "2024.01.03 b  | 4    \n"
    )
    assert session.show("count select from quote where date=2024.01.02") == "0\n"
    assert session.show("attr exec sym from select from trade where date=2024.01.03") == "`p\n"


def test_lines_go_to_files_and_come_back(session: Session) -> None:
    session.eval(
        '`:a/l.txt 0:("one";"two";""); h:hopen`:a/l.txt; h "x"; neg[h]("ab";"cde"); hclose h'
    )
    assert session.show("read0`:a/l.txt") == '"one"\n"two"\n""\n"xab"\n"cde"\n'
    assert session.show("read0(`:a/l.txt;4;3)") == '"two"\n'
    assert session.show("(hcount`:a/l.txt;read1(`:a/l.txt;0;2))") == "17\n0x6f6e\n"
    with pytest.raises(QError, match="is no open handle"):
        session.eval('h "y"')


def test_a_file_is_streamed_in_chunks_that_end_with_lines(session: Session) -> None:
    session.eval("t:([]a:til 100;b:100#`x`yy); save`t.csv; `t.csv")
    session.eval('r:(); .Q.fsn[{r,:flip`a`b!("JS";",")0:x};`:t.csv;64]')
    assert session.show("t~1_r") == "1b\n"


def test_a_session_without_files_touches_none() -> None:
    for text in ("get`:x", "`:x set 1", "read0`:x", "hdel`:x", "key`:x", "save`x", "hopen`:x"):
        with pytest.raises(QError, match=r"^access"):
            Session().eval(f"x:1;{text}")


def test_records_of_fixed_width_become_columns() -> None:
    session = Session()
    assert session.show('("hi c";2 4 1 1)1:0x010002000000ff41ffff03000000ff42') == (
        "1 -1\n2 3 \nA B \n"
    )
    assert session.show('(enlist 2;enlist"h")1:0x0102') == "258\n"
