"""Shared names: scripts and objects that every session of a data directory has."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tickloop.analytics.gateway.engine import Engine, Shared
from tickloop.analytics.gateway.rights import Rights
from tickloop.core.errors import QueryError
from tickloop.tickerplant import q_values as q

WRITER = Rights(share=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    found.mkdir()
    return found


@pytest.fixture
def open_(root: Path) -> Callable[..., Engine]:
    """Open a connection in a worker of its own."""
    return lambda rights=WRITER: Engine(Shared(root), rights)


def ask(engine: Engine, text: str) -> q.Value:
    return engine.evaluate_text(text)


def test_a_saved_function_is_everybody_s_at_once(open_: Callable[..., Engine]) -> None:
    one, other = open_(), open_(Rights())
    with pytest.raises(QueryError, match=r"^double"):
        ask(other, "double 4")
    ask(one, "double:{2*x}")
    assert one.has_state
    assert ask(one, ".share.save`double") == q.symbol("double")
    assert not one.has_state, "what is shared is no variable of the connection's own"
    assert ask(other, "double 4") == q.long(8)
    assert ask(open_(Rights()), "double 5") == q.long(10)
    assert not other.has_state


@pytest.mark.parametrize(
    "value",
    [
        "42", "1 2 0N", "`a`b", '"text"', "([]sym:`a`b;price:1.5 0n)", "([sym:`a`b]n:1 2)",
        "`a`b!(1;`c)", "{x+y}", "{x+y}[2]", "(+/)", "(neg abs@)", "2024.01.02D03:04:05 0Wp", "()",
        "(1;`a;\"b\";{x})", "{[t;s]select from t where sym=s}",
    ],
)  # fmt: skip
def test_any_value_is_shared_as_it_is(open_: Callable[..., Engine], value: str) -> None:
    ask(open_(), f".share.save[`.lib.kept;{value}]")
    shown = ask(open_(Rights()), "-3!.lib.kept")
    assert shown == ask(open_(), f"-3!{value}")


def test_a_new_value_and_a_drop_are_seen_by_those_who_are_there(
    open_: Callable[..., Engine],
) -> None:
    one, other = open_(), open_(Rights())
    for number in range(5):
        ask(one, f".share.save[`limit;{number}]")
        assert ask(other, "limit") == q.long(number)
        assert ask(other, ".share.names[]") == q.symbols(["limit"])
    ask(one, ".share.drop`limit")
    for engine in (one, other, open_()):
        with pytest.raises(QueryError, match=r"^limit"):
            ask(engine, "limit")
    with pytest.raises(QueryError, match="no shared object has the name limit"):
        ask(one, ".share.drop`limit")


def test_a_variable_of_one_s_own_stays_in_front(open_: Callable[..., Engine]) -> None:
    one, other = open_(), open_(Rights())
    ask(one, ".share.save[`limit;1]")
    ask(other, "limit:99")
    ask(one, ".share.save[`limit;2]")
    assert ask(other, "limit") == q.long(99)
    other.forget()
    assert ask(other, "limit") == q.long(2)


def test_who_has_not_the_right_gets_a_sentence(open_: Callable[..., Engine], root: Path) -> None:
    engine = open_(Rights())
    for text in (".share.save[`f;{x}]", ".share.drop`f", "f:1;.share.save`f",
                 "value(`.share.save;`f;1)"):  # fmt: skip
        with pytest.raises(QueryError, match=r"access: this user may not (save|drop) shared names"):
            ask(engine, text)
    assert not (root / "shared").exists()


def test_one_may_share_without_the_right_to_assign(open_: Callable[..., Engine]) -> None:
    engine = open_(Rights(write=False, share=True))
    ask(engine, ".share.save[`f;{x+1}]")
    assert ask(engine, "f 1") == q.long(2)


@pytest.mark.parametrize(
    "name", ["select", ".Q.pf", ".z.pg", ".share.save", "a.b", "..a", ".a", "../a", "a/b", "", "1a"]
)
def test_names_that_are_not_to_be_had_are_refused(
    open_: Callable[..., Engine], root: Path, name: str
) -> None:
    with pytest.raises(QueryError):
        ask(open_(), f'.share.save[`$"{name}";1]')
    assert not list(root.rglob("*.part")) and not list(root.glob("*/*"))


def test_scripts_run_after_objects_in_order_and_are_seen_when_they_change(
    open_: Callable[..., Engine], root: Path
) -> None:
    one = open_()
    ask(one, ".share.save[`scale;10]")
    (root / "shared" / "a.q").write_text("\\d .lib\nn:2\nf:{n*x}\n\\d .\ng:{scale*.lib.f x}\n")
    (root / "shared" / "b.q").write_text("/ uses a.q\nh:{1+\n  g x}\nk:h 1\n")
    other = open_(Rights())
    assert ask(other, "k") == q.long(21)
    (root / "shared" / "b.q").write_text("h:{2+g x}\n")
    time.sleep(0.25)
    assert ask(other, "h 1") == q.long(22)
    with pytest.raises(QueryError, match=r"^k"):
        ask(other, "k")
    with pytest.raises(QueryError, match=r"defined in shared/b\.q"):
        ask(one, ".share.save[`h;1]")
    assert not other.has_state


def test_a_script_s_mistake_is_told_and_hurts_nothing_else(
    open_: Callable[..., Engine], root: Path
) -> None:
    (root / "shared").mkdir()
    (root / "shared" / "bad.q").write_text("before:1\nbefore+`a\nafter:2\n")
    (root / "shared" / "good.q").write_text("fine:3\n")
    (root / "shared" / "junk").write_bytes(b"\xff\x01\x07\x00")
    (root / "shared" / "README.md").write_text("not q")
    engine = open_(Rights())
    assert ask(engine, "before,fine") == q.vector(q.QType.LONG, [1, 3])
    told = ask(engine, "key .share.errors")
    assert told == q.symbols(["junk", "bad.q"])
    assert "type" in q.text_of(ask(engine, ".share.errors`bad.q"))  # type: ignore[operator]


def test_a_script_has_the_rights_of_the_user_it_runs_for(
    open_: Callable[..., Engine], root: Path
) -> None:
    (root / "shared").mkdir()
    (root / "secret").write_text("x\n")
    (root / "shared" / "a.q").write_text(f'r:read0 hsym`$"{root / "secret"}"\n')
    (root / "shared" / "b.q").write_text("v:{value x}\n")
    engine = open_(Rights(verbs_denied=frozenset({"value"})))
    with pytest.raises(QueryError, match=r"^r"):
        ask(engine, "r")
    with pytest.raises(QueryError, match="access"):
        ask(engine, 'v"1+1"')
    assert ask(open_(Rights()), 'v"1+1"') == q.long(2)
    assert ask(open_(Rights(outside=True)), "count r") == q.long(1)


def test_shared_tables_are_seen_by_those_whose_rights_name_them(
    open_: Callable[..., Engine],
) -> None:
    one = open_()
    ask(one, ".share.save[`wide;([]a:1 2)]")
    ask(one, ".share.save[`narrow;([a:1 2]b:3 4)]")
    engine = open_(Rights(tables=frozenset({"narrow"})))
    assert ask(engine, "count narrow") == q.long(2)
    with pytest.raises(QueryError, match=r"^wide"):
        ask(engine, "wide")


_SAVING = """
import sys
from pathlib import Path
from tickloop.analytics.gateway.engine import Engine, Shared
from tickloop.analytics.gateway.rights import Rights
engine = Engine(Shared(Path(sys.argv[1])), Rights(share=True))
print("ready", flush=True)
for number in range(1_000_000):
    engine.evaluate_text(f".share.save[`big;200000#{number}]")
"""


def test_a_writer_that_is_killed_leaves_a_whole_object(
    open_: Callable[..., Engine], root: Path
) -> None:
    ask(open_(), ".share.save[`big;200000#-1]")
    reader = open_(Rights())
    for turn in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVING, str(root)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 0.2 + 0.017 * turn
        while time.monotonic() < deadline:
            assert ask(reader, "(count big;count distinct big)") == q.vector(
                q.QType.LONG, [200_000, 1]
            )
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert ask(reader, "(count big;count distinct big)") == q.vector(q.QType.LONG, [200_000, 1])
    ask(open_(), ".share.save[`big;1]")
    assert [path.name for path in (root / "shared").iterdir()] == ["big"]
