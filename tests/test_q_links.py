"""Foreign keys and links: positions in tables that dots follow, and pivots by exec."""

import pytest

from tests.q_lines import refused, typed

KEYED = "kt:([id:10 20 30]name:`a`b`c); f:([]k:`kt$20 10 20;q:1 2 3)"
PAIRS = "kt:([sym:`a`b;ex:`x`y]p:1 2); f:([]k:`kt$(`b`y;`a`x;`b`y))"
LINKED = "t:([]id:101 102 103;v:1.5 2.5 3.5); update parent:`t!id?101 101 102 from `t;"


@pytest.mark.parametrize(
    ("setup", "line", "shown"),
    [
        (KEYED, "exec k.name from f", "`b`a`b"),
        (KEYED, "exec q from f where k=20", "1 3"),
        (KEYED, "exec sum q by k.name from f", "a| 2\nb| 4"),
        (KEYED, "exec value k from f", "20 10 20"),
        (KEYED, "exec t from meta f", '"jj"'),
        (KEYED, "fkeys f", "k| kt"),
        (PAIRS, "exec k.p from f", "2 1 2"),
        (LINKED, "exec parent.v from t", "1.5 1.5 2.5"),
        (LINKED, "exec parent from t", "`t!0 0 1"),
        (LINKED, "exec f from meta t", "```t"),
    ],
)
def test_a_dot_follows_a_key_of_any_type(setup: str, line: str, shown: str) -> None:
    assert typed(setup, line) == shown


def test_a_key_that_is_not_in_the_table_is_refused() -> None:
    assert refused(KEYED, "`f insert (40;5)").name == "cast"
    assert refused(PAIRS, "`kt$enlist`a`y").name == "cast"


def test_an_enumeration_grows_by_symbols_of_its_domain_alone() -> None:
    assert typed("s:`a`b`c; e:`s$`a`b", "e,:`c", "e") == "`s$`a`b`c"
    assert refused("s:`a`b`c; e:`s$`a`b", "e,:`d").name == "cast"
    assert typed("s:`a`b`c", "(`s$`b),`b") == "`s$`b\n`b"


def test_exec_by_a_name_keys_a_table_by_what_it_finds() -> None:
    setup = "t:([]k:1 2 3 2 3;p:`x`y`z`x`y;v:10 20 30 40 50)"
    assert typed(setup, "exec sum v by k:k from t") == "k|\n-| --\n1| 10\n2| 60\n3| 80"
    assert typed(setup, "P:asc distinct t`p", "exec P#(p!v) by k:k from t") == (
        "k| x  y  z\n-| --------\n1| 10\n2| 40 20\n3|    50 30"
    )


def test_a_step_function_holds_from_each_key_up_to_the_next() -> None:
    assert typed("d:`s#10 20 30!`a`b`c", "d 5 10 25 99") == "``a`b`c"
    assert typed("d:`s#`cat`dog!1 2", "d`cow") == "1"
    assert refused("d:`s#`a`b!1 2", "`d upsert `c`d!3 4").name == "step"
    assert refused("`s#20 10!1 2").name == "s-fail"


def test_a_step_table_joins_as_of_its_last_key() -> None:
    keyed = "k:`s#([s:`a`a`b;t:1 5 1]v:10 20 30)"
    assert typed(keyed, "exec v from ([]s:`a`a`b`a`c;t:4 5 9 0 3) lj k") == "10 20 30 0N 0N"
    assert typed(keyed, "exec v from ([]s:`a`c`b;t:4 1 2) ij k") == "10 30"
    assert typed(keyed, "k(`a;7)") == "v| 20"
