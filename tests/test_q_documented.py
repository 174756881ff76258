"""What q's pages say of names, paths, keys, files and errors, beyond their shown examples."""

from pathlib import Path

import pytest

from tests.q_lines import refused, typed
from tickloop.analytics.q.session import Session

ANSWERS = [
    # Parts of temporal variables, wherever the name stands.
    (["time:09:10:52.139", "(time.hh;time.mm;time.ss)"], "9 10 52i"),
    (["dt:2024.01.15D09:30", "dt.mm"], "1i"),
    (["dt:2024.01.15D09:30", "dt.date"], "2024.01.15"),
    (["dt:2024.01.15D09:30", "dt.minute"], "09:30"),
    (["d:2024.01.15 2024.02.16", "d.month"], "2024.01 2024.02m"),
    # A colon in a symbol opens a path.
    (["hsym`c:/q/test.txt"], "`:c:/q/test.txt"),
    (["hsym `host:port`localhost:8001"], "`:host:port`:localhost:8001"),
    (["`http://www.example.com/a"], "`http://www.example.com/a"),
    # What a key that is not there gives is shaped as the first value.
    (["d:`a`b!(([]x:1 2);([]x:3 4))", "d`c"], "x\n-"),
    # Text and bytes with an iterator join and cut.
    (['(", "/:)("quick";"brown";"foxes")'], '"quick, brown, foxes"'),
    (['(" "\\:)"to be"'], '"to"\n"be"'),
    (["(0x0\\:)3.14156"], "0x400921ea35935fc4"),
    # Strings in order are searched as numbers are.
    (['("apple";"banana";"coffee") bin ("anise";"berry";"curry")'], "-1 1 2"),
    (['("apple";"banana";"coffee") binr "berry"'], "2"),
    # A table comes to be where its first rows are put.
    (["`tnew insert ([c1:`a`b];c2:10 20)"], "0 1"),
    (["`tnew insert ([c1:`a`b];c2:10 20)", "tnew"], "c1| c2\n--| --\na | 10\nb | 20"),
    (["`tnew insert ([]a:1 2)", "`tnew insert enlist 5", "tnew`a"], "1 2 5"),
    # Text: quotes keep delimiters inside of a value; a cell is quoted only where it must be.
    (['"S=*,"0:"a=\\"hello,world\\",b=1"'], 'a             b\n"hello,world" ,"1"'),
    (['","0:([]x:("qu\\"ux";"a,b"))'], ',"x"\n"qu\\"ux"\n"\\"a,b\\""'),
    (['"T"$("+0900";"-0500")'], "09:00:00.000 -05:00:00.000"),
    (['(enlist("";""))~1 2 0#"a"'], "1b"),
    # The phrases of a query hide implicit parameters; x is there by default.
    (["{select from ([]a:0 1;b:2 3) where a=x}[0]"], "a b\n---\n0 2"),
    (["{[x;y]select from ([]a:0 1;b:2 3) where a=x,b=y}[0;2]"], "a b\n---\n0 2"),
    (["{select from y where a=x}[0;([]a:0 1)]"], "a\n-\n0"),
    # Stars in patterns: one anywhere, a second at the end.
    (['"Now is the time" like "N*the*"'], "1b"),
    (['ssr["a*b";"[*]";"x"]'], '"axb"'),
    # Keyed tables with the same keys are joined beside each other.
    (["k:([s:`a`b]p:1 2)", "k,'([s:`a`b]w:4 5)"], "s| p w\n-| ---\na| 1 4\nb| 2 5"),
    ([".Q.qp each(5;([]a:1 2))"], "0 0"),
    # Enumerating in memory alone.
    (["t:.Q.en[::;([]s:`a`b`a)]", "`int$t`s"], "0 1 0i"),
    (["t:.Q.en[::;([]s:`a`b`a)]", "sym"], "`a`b"),
]


@pytest.mark.parametrize(("lines", "shown"), ANSWERS, ids=lambda value: str(value)[:60])
def test_a_line_prints_as_documented(lines: list[str], shown: str) -> None:
    assert typed(*lines) == shown


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("(`a`b`c!1 2 3) _ `a`b", "type"),
        ("`a _ ([]a:1 2;b:3 4)", "type"),
        ('\'"a"', "stype"),
        ('\'"ab"', "ab"),
        ("select b by b from ([]b:1 2)", "dup names for cols/groups b"),
        ("{select from ([]a:0 1;b:2 3) where a=x,b=y}[0;2]", "rank"),
        ('"ab" ss "a*"', "length"),
        ('ssr["a*b";"*";"x"]', "length"),
        ('"Now is the time" like "*the*time"', "nyi"),
        ("`nowhere insert (1;2)", "nowhere"),
    ],
)
def test_an_error_has_its_documented_name(line: str, name: str) -> None:
    assert refused(line).name == name


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Give a session that may touch files below an empty directory."""
    made = Session(files=True)
    made.directory = tmp_path
    return made


def test_a_file_of_symbols_grows_by_what_is_enumerated_by_it(session: Session) -> None:
    assert typed("`:names?`a`b`c`b", session=session) == "`names$`a`b`c`b"
    assert typed("`:names?`d`a", "get`:names", session=session) == "`a`b`c`d"
    assert typed("names", session=session) == "`a`b`c`d"


def test_a_table_of_mapped_columns_is_told_from_one_in_memory(session: Session) -> None:
    assert typed("`:sp/ set ([]a:1 2)", ".Q.qp get`:sp/", session=session) == "0b"


def test_a_directory_of_values_loads_as_a_dictionary(session: Session) -> None:
    typed("`:cb/x set 1 2 3", "`:cb/y set `a`b!1 2", "load`cb", session=session)
    assert typed("key cb", session=session) == "`x`y"
    assert typed("cb`x", session=session) == "1 2 3"


def test_a_view_narrows_partitioned_tables_until_it_is_lifted(session: Session) -> None:
    typed("t:([]sym:`a`b`a;num:1 2 3)", session=session)
    typed(".Q.dpft[`:.;;`sym;`t]each 2010.01.01+til 5", "\\l .", session=session)
    typed(".Q.view 2#date", session=session)
    assert typed("(count t;date;.Q.pv;count .Q.PV;.Q.cn t)", session=session).split("\n") == [
        "6",
        "2010.01.01 2010.01.02",
        "2010.01.01 2010.01.02",
        "5",
        "3 3",
    ]
    assert typed("exec distinct date from t", session=session) == "2010.01.01 2010.01.02"
    assert typed(".Q.view[]", "count t", session=session) == "15"
    assert refused(".Q.view`a", session=session).name == "type"


def test_checking_a_database_that_is_not_there_is_refused_by_its_path(session: Session) -> None:
    assert "nodb. OS reports: No such file" in refused(".Q.chk`:nodb", session=session).name
