"""Rights: what a user may not call is out of reach by every road that the language has."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tickloop.analytics.gateway.engine import Engine, Shared
from tickloop.analytics.gateway.rights import Rights, read_rights
from tickloop.core.errors import ConfigError, QueryError
from tickloop.tickerplant import q_values as q

DENIED = Rights(verbs_denied=frozenset({"value", "eval", "system", ".Q.trp", "reverse"}))
IDENTITY = q.IDENTITY
# Numbers of functions on the wire: type 101, unary.
FIRST, REVERSE, VALUE, READ0 = 3, 6, 19, 20


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    root = tmp_path / "data"
    root.mkdir()
    (tmp_path / "secret").write_text("secret\n")
    return Shared(root)


@pytest.fixture
def ask(shared: Shared) -> Callable[[object], q.Value]:
    engine = Engine(shared, DENIED)
    return lambda request: engine.evaluate(
        q.chars(request) if isinstance(request, str) else request, "anyone"
    )


@pytest.mark.parametrize(
    "text",
    [
        'value "1+1"', 'get "1+1"', ".: \"1+1\"", '(value)"1+1"', "value[`a]",
        '{value x}"1+1"', '{x"1+1"}value', "@[value;`a;{'x}]", ".[value;enlist`a;{'x}]",
        "value each 1 2", "value over 1 2", "value'[1 2]", '{(y)x}[`a;value]',
        '(value\'"ab")', '(\'[neg;value])`a', '(neg value@)`a', "f:value;f`a",
        "`value `a", "@[`value;`a;{'x}]", "`get `a",
        "eval 1", "eval(+;1;1)", "reval(+;1;1)", "-6!(+;1;1)", "(-6!)1", '.Q.trp[{x};1;{x}]',
        '.[`.Q.trp;({x};1;{x})]', 'eval parse"1+1"', "eval(value;`a)", "eval(`value;`a)",
        "exec value a from ([]a:`b`c)", "select value a from ([]a:`b`c)",
        "?[([]a:`b`c);();0b;enlist[`a]!enlist(value;`a)]", "?[([]a:`b`c);();();(`value;`a)]",
        "@[`a`b;0;value]", ".[`a`b;enlist 0;value]", "fby[(value;1 2);1 2]",
        '-9!-8!value', '(-9!-8!(value;1))[0]1', "reverse 1 2", "|:1 2", "(|:)1 2",
        "ungroup update value each a from ([]a:1 2)", "first reverse\\1 2", "-30!0",
        'system "d"', "\\d", "\\c 25 80", "system each enlist enlist\"d\"",
        '0 "value 1"', ".z.ps:value;value 1", '0 (value;"1+1")',
        "while[1b;value 1]", "$[1b;value 1;0]", "if[value 1;1]", "{:value x}1", "a::value 1;a",
    ],
)  # fmt: skip
def test_a_denied_verb_is_out_of_reach(ask: Callable[[object], q.Value], text: str) -> None:
    try:
        found = ask(text)
    except QueryError as error:
        assert "access" in str(error) or "nyi" in str(error) or "type" in str(error), str(error)
        return
    # What comes back is data that no denied verb has made: the verb itself was not run.
    assert isinstance(found, q.Lambda | q.Derived | q.Primitive) or found in HARMLESS, found


HARMLESS = (q.symbol("a"), q.symbols(["a", "b"]))


@pytest.mark.parametrize(
    "request_",
    [
        q.items(q.symbol("value"), q.chars("1+1")), q.items(q.chars("value"), q.chars("1+1")),
        q.items(q.symbol("get"), q.chars("1+1")), q.items(q.chars(".:"), q.chars("1+1")),
        q.items(q.Primitive(101, VALUE), q.chars("1+1")),
        q.items(q.Primitive(101, REVERSE), q.vector(q.QType.LONG, [1, 2])),
        q.items(q.Derived(104, (q.Primitive(101, VALUE), q.chars("1+1"))), IDENTITY),
        q.items(q.Derived(105, (q.Primitive(101, FIRST), q.Primitive(101, VALUE))), q.chars("1")),
        q.items(q.Derived(106, (q.Primitive(101, VALUE),)), q.vector(q.QType.LONG, [1, 2])),
        q.items(q.Lambda("", "{value x}"), q.chars("1+1")),
        q.items(q.Lambda("", "{x y}"), q.Primitive(101, VALUE), q.chars("1+1")),
        q.items(q.chars("{x y}"), q.symbol("value"), q.chars("1+1")),
        q.items(q.Primitive(102, 18), q.symbol("value"), q.chars("1+1")),
        q.items(q.symbol(".Q.trp"), q.Lambda("", "{x}"), q.long(1), q.Lambda("", "{x}")),
    ],
    ids=range(14),
)  # fmt: skip
@pytest.mark.parametrize("before", [False, True], ids=["first", "after another user"])
def test_a_function_that_travels_is_denied_too(
    shared: Shared, request_: q.Value, before: bool
) -> None:
    if before:
        other = Engine(shared, Rights())
        assert other.evaluate(q.items(q.symbol("value"), q.chars("1+1")), "other") == q.long(2)
        other.forget()
    with pytest.raises(QueryError, match=r"access|nyi"):
        Engine(shared, DENIED).evaluate(request_, "anyone")


def test_users_of_one_process_do_not_get_each_other_s_rights(shared: Shared) -> None:
    free, bound = Engine(shared, Rights()), Engine(shared, DENIED)
    asked = q.chars('value "1+1"')
    for _ in range(3):
        assert free.evaluate(asked, "free") == q.long(2)
        with pytest.raises(QueryError, match="access"):
            bound.evaluate(asked, "bound")


def test_a_denied_verb_that_does_not_exist_lets_nothing_through(shared: Shared) -> None:
    engine = Engine(shared, Rights(verbs_denied=frozenset({"valeu"})))
    with pytest.raises(QueryError, match="valeu, which is no verb"):
        engine.evaluate(q.chars("1+1"), "anyone")


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        ("load", ".Q.l`:db"),
        ("load", ".Q.lo[`:db;0;0]"),
        (".Q.dpft", ".Q.hdpf[`::1;`:.;2020.01.01;`sym]"),
        ("value", '.h.val"1+1"'),
        (".h.xd", ".h.tx[`xml;([]a:1 2)]"),
    ],
)
def test_a_denied_verb_is_not_reached_through_what_is_built_on_it(
    shared: Shared, verb: str, text: str
) -> None:
    engine = Engine(shared, Rights(outside=True, verbs_denied=frozenset({verb})))
    with pytest.raises(QueryError, match="this user may not call"):
        engine.evaluate(q.chars(text), "bound")


@pytest.mark.parametrize("way", ["text", "name", "number", "tree"])
def test_files_are_out_of_reach(shared: Shared, tmp_path: Path, way: str) -> None:
    path = f":{tmp_path / 'secret'}"
    engine = Engine(shared, Rights())
    asked = {
        "text": q.chars(f'read0 hsym`$"{path[1:]}"'),
        "name": q.items(q.symbol("read0"), q.symbol(path)),
        "number": q.items(q.Primitive(101, READ0), q.symbol(path)),
        "tree": q.items(q.symbol("eval"), q.items(q.symbol("read0"), q.symbols([path]))),
    }[way]
    with pytest.raises(QueryError, match="access"):
        engine.evaluate(asked, "anyone")


@pytest.mark.parametrize(
    "text",
    [
        "get FILE", "value FILE", "FILE set 1", "hdel FILE", "hcount FILE", "read1 FILE",
        "load FILE", "key FILE", '(" *";",")0:FILE', 'FILE 0:enlist"x"', "save FILE",
        "FILE upsert 1",
        "\\l PATH", 'system"l PATH"', ".Q.v FILE", "@[FILE;0;:;1]", "select from FILE",
        'FILE 1: 0x00', "FILE 2:(`f;1)", ".Q.dpft[FILE;`a;`b;`c]", "meta FILE", "count FILE 0",
    ],
)  # fmt: skip
def test_no_verb_reads_or_writes_a_file(shared: Shared, tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret"
    asked = text.replace("FILE", f'(hsym`$"{path}")').replace("PATH", str(path))
    try:
        found = Engine(shared, Rights()).evaluate(q.chars(asked), "anyone")
    except QueryError:
        found = IDENTITY
    assert "secret\n" not in repr(found)
    assert path.read_text() == "secret\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "secret"]


def test_who_may_not_assign_leaves_nothing_behind_even_by_a_failing_question(
    shared: Shared,
) -> None:
    engine = Engine(shared, Rights(write=False))
    for text in ("a:1", "a:1;'oops", "`a set 1", "{a::1}[]", "a::1"):
        with pytest.raises(QueryError):
            engine.evaluate(q.chars(text), "reader")
        assert not engine.has_state
        with pytest.raises(QueryError, match="a: "):
            engine.evaluate(q.chars("a"), "reader")


SQL = [
    "COPY (SELECT 1) TO 'OUT'", "COPY (SELECT 1) TO PROGRAM 'touch OUT'", "COPY x FROM 'SECRET'",
    "ATTACH 'OUT' AS other", "INSTALL httpfs", "LOAD httpfs", "SET enable_external_access = true",
    "SELECT * FROM read_csv('SECRET')", "SELECT * FROM read_csv_auto('SECRET')",
    "SELECT * FROM read_text('SECRET')", "SELECT * FROM read_blob('SECRET')",
    "SELECT * FROM read_parquet('SECRET')", "SELECT * FROM read_json('SECRET')",
    "SELECT * FROM glob('SECRET')", "SELECT * FROM 'SECRET'", "FROM 'SECRET'", "SUMMARIZE 'SECRET'",
    "SELECT (SELECT max(content) FROM read_text('SECRET'))",
    "WITH a AS MATERIALIZED (FROM read_text('SECRET')) SELECT * FROM a",
    "SELECT * FROM range(1), LATERAL (SELECT * FROM read_text('SECRET'))",
    "SELECT 1 UNION ALL SELECT content FROM read_text('SECRET')",
    "SELECT 1 WHERE EXISTS (FROM read_text('SECRET'))", "SELECT * FROM query('SELECT 1')",
    "SELECT 1 ORDER BY (SELECT content FROM read_text('SECRET'))",
    "EXPLAIN ANALYZE SELECT * FROM read_text('SECRET')", "DESCRIBE FROM read_text('SECRET')",
    "SELECT 1; COPY (SELECT 1) TO 'OUT'", "EXPORT DATABASE 'OUT'", "IMPORT DATABASE 'OUT'",
    "CREATE SECRET (TYPE s3)", "PRAGMA enable_profiling", "CALL pragma_version()",
    "CREATE MACRO f() AS TABLE FROM read_text('SECRET')", "PREPARE p AS FROM read_text('SECRET')",
    "EXECUTE p", "DETACH memory", "USE memory", "VACUUM", "CHECKPOINT",
    "MERGE INTO x USING y ON true WHEN MATCHED THEN DELETE", "DELETE FROM x", "UPDATE x SET a=1",
    "PIVOT (FROM read_text('SECRET')) ON content", "SELECT getenv('HOME')",
    "SELECT * FROM sniff_csv('SECRET')", "SELECT * FROM parquet_metadata('SECRET')",
    "SELECT * FROM sqlite_scan('SECRET', 'a')", "SELECT * FROM json_execute_serialized_sql('{}')",
]  # fmt: skip


@pytest.mark.parametrize("text", SQL)
@pytest.mark.parametrize("way", ["text", "call"])
def test_sql_reads_the_database_and_writes_nothing(
    shared: Shared, tmp_path: Path, way: str, text: str
) -> None:
    statement = text.replace("OUT", str(tmp_path / "out")).replace(
        "SECRET", str(tmp_path / "secret")
    )
    asked: q.Value = q.chars(f"s){statement}")
    if way == "call":
        asked = q.items(q.symbol(".s.e"), q.chars(statement))
    with pytest.raises(QueryError):
        Engine(shared, Rights(outside=True)).evaluate(asked, "anyone")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "secret"]


def test_the_right_to_share_is_read_from_the_file_and_is_nobody_s_by_default(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rights.toml"
    path.write_text("[users.quant]\nshare = true\n")
    found = read_rights(path)
    assert found.of("quant").share and not found.of("other").share
    path.write_text("[users.quant]\nshare = 1\n")
    with pytest.raises(ConfigError, match=r"users\.quant\.share"):
        read_rights(path)
