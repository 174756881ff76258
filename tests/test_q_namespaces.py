"""The namespaces .Q and .h and internal functions: what scripts and documentation pages use."""

from pathlib import Path

import pytest

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session


@pytest.fixture
def q() -> Session:
    return Session()


@pytest.fixture
def database(tmp_path: Path) -> Session:
    """Give a session in the directory of a database: three days of t, the last alone of u."""
    session = Session(files=True)
    session.eval(f'system"cd {tmp_path}"')
    session.eval("t:u:([]time:til 4;sym:4#`b`a)")
    session.eval(".Q.dpft[`:.;;`sym;`t]each 2010.01.01+til 3;.Q.dpft[`:.;2010.01.03;`sym;`u]")
    return session


# -- backtraces -----------------------------------------------------------------------------------


def test_a_trap_tells_where_the_error_happened(q: Session) -> None:
    q.eval("f:{`hello+x}")
    text = '.Q.trp[f;2;{1 x,"\\n",.Q.sbt y;-1}]'
    assert q.show(text) == (
        f"type\n  [2]  f:{{`hello+x}}\n                ^\n  [1]  (.Q.trp)\n\n  [0]  {text}\n\n-1\n"
    )


def test_a_trap_of_several_arguments_names_itself(q: Session) -> None:
    shown = q.show(".Q.trpd[{x+y};(1;`2);{1 .Q.sbt y;x}]")
    assert shown.startswith("  [2]  {x+y}\n         ^\n  [1]  (.Q.trpd)\n")
    assert shown.endswith('"type"\n')


def test_a_backtrace_lists_the_functions_that_run(q: Session) -> None:
    q.eval("f:{{.Q.bt[];x*2}x+1}")
    assert q.show("f 4") == (
        "  [2]  f@:{.Q.bt[];x*2}\n\n  [1]  f:{{.Q.bt[];x*2}x+1}\n\n  [0]  f 4\n\n10\n"
    )


# -- bytes, tokens, time --------------------------------------------------------------------------


def test_gzip_packs_and_unpacks_text(q: Session) -> None:
    assert q.show(".Q.gz[::]") == "1b\n"
    assert q.show('s:10000#"helloworld";z:.Q.gz(9;s);(count z;s~.Q.gz z)') == "66\n1b\n"
    with pytest.raises(QError, match=r"^gz: .* bytes that gzip made expected"):
        q.eval('.Q.gz "plain"')
    with pytest.raises(QError, match=r"^domain: level 12 seen"):
        q.eval('.Q.gz(12;"plain")')


def test_a_compressed_message_reads_back(q: Session) -> None:
    assert q.show("count -18!til 1000") == "3276\n"
    assert q.show("(til 1000)~-9!-18!til 1000") == "1b\n"
    assert q.show("(-18!1 2)~-8!1 2") == "1b\n"


def test_tokens_of_a_text_keep_its_blanks(q: Session) -> None:
    assert q.show('"" sv -4!"select a from `t"') == '"select a from `t"\n'
    assert q.show('-4!"x aa_bb"') == ',"x"\n," "\n"aa_bb"\n'


def test_time_and_space_come_with_the_result(q: Session) -> None:
    assert q.show("r:.Q.ts[+;2 3];(count each r;r 1)") == "2 1\n5\n"


def test_words_before_the_options_are_kept(q: Session) -> None:
    assert q.show('.Q.opt("src";"-p";"5010")') == 'p| "5010"\n'
    assert q.show(".Q.x") == '"src"\n'


def test_the_loopback_address_has_a_name(q: Session) -> None:
    assert q.show(".Q.host .Q.addr`localhost") == "`localhost\n"


# -- databases ------------------------------------------------------------------------------------


def test_a_database_tells_where_its_partitions_lie(database: Session) -> None:
    database.eval('system"l ."')
    assert database.show(".Q.PD") == "`:.`:.`:.\n"
    assert database.show(".Q.D") == "2010.01.01 2010.01.02 2010.01.03\n"
    assert database.show(".Q.u") == "1b\n"
    assert database.show(".Q.view 2#date;.Q.pd") == "`:.`:.\n"


def test_segments_are_told_apart(tmp_path: Path) -> None:
    session = Session(files=True)
    session.eval(f'system"cd {tmp_path}"')
    session.eval('`:par.txt 0:("one";"two");t:([]time:til 4;sym:4#`b`a)')
    session.eval(".Q.dpft[`:.;;`sym;`t]each 2010.01.01+til 3")
    session.eval('system"l ."')
    assert session.show(".Q.P") == "`:one`:two\n"
    shown = session.show(".Q.PV!.Q.PD")
    assert shown.count(":one") + shown.count(":two") == 3
    assert session.show("raze[.Q.D]~raze .Q.PV where each .Q.PD=/:.Q.P") == "1b\n"


def test_tables_that_partitions_lack_are_listed(database: Session) -> None:
    database.eval('system"l .";.Q.bv[]')
    assert database.show(".Q.vp") == "u| +`date`sym`time!(`date$();`sym$`symbol$();`long$())\n"
    assert database.show("exec count i from u") == "4\n"


def test_the_end_of_a_day_saves_and_empties_tables(database: Session) -> None:
    database.eval("trade:([]sym:`b`a`b;p:1 2 3f);delete t,u from `.")
    database.eval(".Q.hdpf[`::5012;`:.;2010.01.04;`sym]")
    assert database.show("count trade") == "0\n"
    database.eval('system"l ."')
    assert database.show("exec p from trade where date=2010.01.04") == "2 1 3f\n"


def test_a_database_loads_without_going_there(database: Session, tmp_path: Path) -> None:
    (tmp_path / "script.q").write_text("ran:1\n")
    database.eval(f'system"cd {tmp_path.parent}"')
    database.eval(f".Q.lo[`:{tmp_path.name};0;0]")
    assert database.show("count select from t") == "12\n"
    with pytest.raises(QError, match=r"^ran"):
        database.eval("ran")


def test_records_of_a_fixed_width_load_into_a_partition(database: Session) -> None:
    database.eval("`:rec.bin 1:raze{reverse 0x0 vs x}each 1 2 3i;.Q.M:2")
    source = '(`:rec.bin;0;0);enlist`a;(enlist"i";enlist 4);{update b:2*a from x}'
    database.eval(f".Q.dsftg[(`:.;2010.01.03;`rec);{source}]")
    assert database.show("get`:2010.01.03/rec/") == "a b\n---\n1 2\n2 4\n3 6\n"


def test_scripts_are_grouped_as_they_are_run(q: Session) -> None:
    assert q.show('.Q.ld("/ f";"f:{";" x}";"";"g:1")') == (
        '1     2          5    \n"/ f" "f:{\\n x}" "g:1"\n'
    )


# -- text of tables -------------------------------------------------------------------------------


def test_writers_are_chosen_by_the_type_of_file(q: Session) -> None:
    q.eval("t:([]a:1 2;b:`x`y)")
    assert q.show(".h.tx[`csv;t]") == '"a,b"\n"1,x"\n"2,y"\n'
    assert q.show(".h.tx[`json]t") == q.show(".j.j each t")
    assert q.show(".h.tx[`mine]:{enlist string count x};.h.tx[`mine]t") == ',"2"\n'
    assert q.show("key .h.tx") == "`raw`json`csv`txt`xml`xls`mine\n"


def test_a_workbook_has_a_sheet_for_each_table(q: Session) -> None:
    q.eval('t:([]a:1 2;b:`$("<x>";"y"))')
    text = q.show('"c"$raze 1_.h.edsn`one`two!(t;t)')
    assert q.show('count ss[raze .h.edsn`one`two!(t;t);"<Worksheet "]') == "2\n"
    assert q.show('count ss[raze .h.ed t;"<Data ss:Type=\\"Number\\">"]') == "2\n"
    assert q.show('count ss[raze .h.ed t;"&lt;x&gt;"]') == "1\n"
    assert text.startswith('"<Workbook')


def test_pages_are_made_of_their_bodies(q: Session) -> None:
    q.eval('.h.sa:"a{}";.h.sb:"b{}"')
    assert q.show('.h.html"x"') == (
        '"<html><head><style>a{}b{}</style></head><body>x</body></html>"\n'
    )
    assert q.show(
        '.h.hp[("a";"b")]like"HTTP/1.1 200 OK\\r\\n*<pre>a\\nb\\n</pre></body></html>"'
    ) == ("1b\n")
    assert q.show('raze .h.hug["ab"]"a c"') == '"a%20%63"\n'


def test_a_table_is_paged_through(q: Session) -> None:
    q.eval("t:([]a:til 100)")
    assert q.show("count .h.jx[40;`t]") == "25\n"
    first = q.show("first .h.jx[40;`t]")
    assert q.show('count ss[first .h.jx[40;`t];"</a>"]') == "4\n"
    assert "home" in first
    assert q.show('last[" "vs first .h.jx[40;`t]]') == '"100[40]"\n'


def test_links_into_partitioned_tables_are_refused(database: Session) -> None:
    database.eval('system"l ."')
    with pytest.raises(QError, match=r"^par: t is partitioned"):
        database.eval("([]a:`t!1 1)")
