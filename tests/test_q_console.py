"""What the console prints, type by type, against texts that q itself is known to print."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q.console import show
from tickloop.analytics.q.console_errors import show_error
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.spell import spell
from tickloop.analytics.q.values import (
    DTYPES,
    MISSING,
    NIL,
    Adverb,
    Atom,
    Attribute,
    Builtin,
    Composition,
    Dictionary,
    Domain,
    Enumerated,
    EnumeratedAtom,
    Iterated,
    Lambda,
    List,
    Projection,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    char,
    chars,
    collect,
    float_,
    items_of,
    long,
    null,
    symbol,
    symbols,
    vector,
)

from tickloop.analytics.q import console_verbs  # isort: skip

T = QType
NAN, INF = float("nan"), float("inf")
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
INT_MIN, INT_MAX = -(2**31), 2**31 - 1


def of(kind: QType, *items: Any) -> Vector:
    return vector(kind, list(items))


def longs(*items: int) -> Vector:
    return of(T.LONG, *items)


def floats(*items: float) -> Vector:
    return of(T.FLOAT, *items)


def dictionary(keys: Value, values: Value) -> Dictionary:
    return Dictionary(keys, values)


def builtin(name: str, operator: bool = True) -> Builtin:
    return Builtin(name, {}, is_operator=operator)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (boolean(True), "1b"),
        (Atom(T.BYTE, 0x2A), "0x2a"),
        (Atom(T.SHORT, 7), "7h"),
        (Atom(T.INT, -3), "-3i"),
        (long(42), "42"),
        (Atom(T.REAL, 3.14), "3.14e"),
        (Atom(T.REAL, 2.0), "2e"),
        (float_(2), "2f"),
        (float_(1 / 3), "0.3333333"),
        (float_(123456789), "1.234568e+08"),
        (float_(1e-8), "1e-08"),
        (float_(1e10), "1e+10"),
        (char(ord("k")), '"k"'),
        (char(ord('"')), r'"\""'),
        (char(0), r'"\000"'),
        (symbol("ibm"), "`ibm"),
        (symbol(""), "`"),
        (symbol("hello world"), "`hello world"),
        (Atom(T.GUID, bytes(16)), "00000000-0000-0000-0000-000000000000"),
        (Atom(T.TIMESTAMP, 42), "2000.01.01D00:00:00.000000042"),
        (Atom(T.MONTH, 42), "2003.07m"),
        (Atom(T.DATE, 42), "2000.02.12"),
        (Atom(T.DATE, -730120), "0000.00.00"),
        (Atom(T.DATETIME, 7265.466101), "2019.11.22T11:11:11.126"),
        (Atom(T.TIMESPAN, -1_000_000_000), "-0D00:00:01.000000000"),
        (Atom(T.TIMESPAN, 45_296_123_987_654), "0D12:34:56.123987654"),
        (Atom(T.MINUTE, 9 * 60 + 30), "09:30"),
        (Atom(T.MINUTE, -1), "-00:01"),
        (Atom(T.SECOND, 25 * 3600), "25:00:00"),
        (Atom(T.TIME, 45_296_789), "12:34:56.789"),
        (NIL, ""),
        (Adverb("/:"), "/:"),
    ],
)
def test_an_atom_carries_what_tells_its_type(value: Value, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("kind", "null_text", "infinity", "infinity_text"),
    [
        (T.SHORT, "0Nh", 2**15 - 1, "0Wh"),
        (T.INT, "0Ni", INT_MAX, "0Wi"),
        (T.LONG, "0N", LONG_MAX, "0W"),
        (T.REAL, "0Ne", INF, "0we"),
        (T.FLOAT, "0n", INF, "0w"),
        (T.TIMESTAMP, "0Np", LONG_MAX, "0Wp"),
        (T.MONTH, "0Nm", INT_MAX, "0Wm"),
        (T.DATE, "0Nd", INT_MAX, "0Wd"),
        (T.DATETIME, "0Nz", INF, "0wz"),
        (T.TIMESPAN, "0Nn", LONG_MAX, "0Wn"),
        (T.MINUTE, "0Nu", INT_MAX, "0Wu"),
        (T.SECOND, "0Nv", INT_MAX, "0Wv"),
        (T.TIME, "0Nt", INT_MAX, "0Wt"),
    ],
)
def test_nulls_and_infinities_have_names(
    kind: QType, null_text: str, infinity: float, infinity_text: str
) -> None:
    assert show(null(kind)) == null_text
    assert show(Atom(kind, infinity)) == infinity_text
    assert show(Atom(kind, -infinity)) == "-" + infinity_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (of(T.BOOLEAN, 0, 1, 0), "010b"),
        (of(T.BYTE, 1, 255), "0x01ff"),
        (of(T.INT, 1, INT_MIN, 3), "1 0N 3i"),
        (longs(1, LONG_MIN, LONG_MAX), "1 0N 0W"),
        (floats(1, 2), "1 2f"),
        (floats(1, 2.5), "1 2.5"),
        (floats(1, NAN, -INF), "1 0n -0w"),
        (of(T.REAL, 1, 2.34, -567.1), "1 2.34 -567.1e"),
        (chars('it\'s "q"\\\n\t'), r'"it' + "'" + r's \"q\"\\\n\t"'),
        (chars("Zürich"), r'"Z\303\274rich"'),
        (chars(""), '""'),
        (chars("a"), ',"a"'),
        (symbols(["a", "", "b"]), "`a``b"),
        (symbols(["a"]), ",`a"),
        (symbols([]), "`symbol$()"),
        (longs(), "`long$()"),
        (longs(7), ",7"),
        (of(T.BOOLEAN, 1), ",1b"),
        (of(T.MONTH, 0, 215, 431), "2000.01 2017.12 2035.12m"),
        (of(T.DATE, 0, 1), "2000.01.01 2000.01.02"),
        (of(T.DATE, INT_MIN), ",0Nd"),
        (of(T.TIMESPAN, LONG_MIN, LONG_MIN), "0N 0Nn"),
        (of(T.TIME, INT_MIN, 0), "0N 00:00:00.000"),
        (List(()), "()"),
        (vector(T.LONG, [1, 2, 3], Attribute.SORTED), "`s#1 2 3"),
        (symbols(["v", "w"], Attribute.UNIQUE), "`u#`v`w"),
        (vector(T.LONG, [5], Attribute.PARTED), "`p#,5"),
    ],
)
def test_a_vector_is_one_line_with_one_suffix(value: Value, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (List((long(1), float_(2), symbol("a"), chars("abc"))), '1\n2f\n`a\n"abc"'),
        (List((longs(1, 2), longs(30, 4))), "1  2\n30 4"),
        (List((longs(1, 2), longs(3, 4, 5))), "1 2\n3 4 5"),
        (List((floats(87, 104), floats(81, 99.5))), "87 104 \n81 99.5"),
        (List((chars("abc"), chars("def"))), '"abc"\n"def"'),
        (List((longs(1, 2, 3), chars("abc"))), "1 2 3\na b c"),
        (List((symbols(["Gfg", "is"]), longs(1, 2))), "Gfg is\n1   2 "),
        (List((of(T.BOOLEAN, 0, 1), of(T.BOOLEAN, 1, 1))), "01b\n11b"),
        (List((List((long(2), char(97))), List((long(30), char(98))))), '2  "a"\n30 "b"'),
        (
            List((
                List((chars("fox"), List((chars("ju"), chars("ov"))))),
                List((chars("a"), chars("dog"))),
            )),
            '"fox" ("ju";"ov")\n,"a"  "dog"      ',
        ),
        (List((of(T.BOOLEAN, 1, 1), List((of(T.BOOLEAN, 1), boolean(False))))), "1   1 \n,1b 0b"),
        (List((longs(11, 11), List((long(3), List((longs(4, 4),)))))), "11 11  \n3  ,4 4"),
        (List((List((longs(1, 2), longs(3))), long(4))), "(1 2;,3)\n4"),
        (
            List((List((longs(0, 1), longs(3, 4))), List((longs(6, 8), longs(9, 11))))),
            "0 1  3 4 \n6 8  9 11",
        ),
        (List((longs(), longs(4, 5))), "`long$()\n4 5"),
        (List((NIL, symbols(["t"]))), "::\n,`t"),
        (List((List(()), List(()))), "\n"),
    ],
)  # fmt: skip
def test_a_general_list_has_one_line_for_each_item(value: Value, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dictionary(symbols(["tom", "harry"]), longs(1040, 27)), "tom  | 1040\nharry| 27"),
        (dictionary(chars("mi"), List((longs(0), longs(1, 4)))), "m| ,0\ni| 1 4"),
        (dictionary(List((chars("john"), chars("jo"))), longs(4, 2)), '"john"| 4\n"jo"  | 2'),
        (dictionary(longs(0, 10), symbols(["a", "b"])), "0 | a\n10| b"),
        (dictionary(longs(7, 8), List((chars("xyz"), longs(1, 2, 3)))), "7| x y z\n8| 1 2 3"),
        (dictionary(symbols(["a", "b"]), longs(1, LONG_MIN)), "a| 1\nb| "),
        (dictionary(symbols(["n", "c"]), List((symbol("L"), long(9)))), "n| `L\nc| 9"),
        (dictionary(symbols(["a"]), List((dictionary(longs(1, 2), longs(3, 4)),))), "a| 1 2!3 4"),
        (dictionary(symbols(["a", "b"]), List((List(()), List(())))), "a| \nb| "),
        (dictionary(List(()), List(())), ""),
        (
            dictionary(symbols(["size", "price"]), List((
                List((builtin("*"), symbol("size"))), List((builtin("%"), symbol("p")))))),
            "size | * `size\nprice| % `p   ",
        ),
    ],
)  # fmt: skip
def test_a_dictionary_has_a_bar_between_keys_and_values(value: Value, text: str) -> None:
    assert show(value) == text


TRADES = Table.of(
    {
        "sym": symbols(["ibm", "goog"]),
        "price": floats(109.5, NAN),
        "size": longs(100, 20),
        "ok": of(T.BOOLEAN, 1, 0),
        "flag": chars("a "),
        "raw": of(T.BYTE, 1, 255),
        "ids": List((longs(5, 17), longs(2))),
        "note": List((chars("qu\"ux"), chars("x"))),
    }
)  # fmt: skip


def test_a_table_has_names_a_rule_and_rows() -> None:
    assert show(TRADES).split("\n") == [
        "sym  price size ok flag raw ids  note    ",
        "-----------------------------------------",
        'ibm  109.5 100  1  a    01  5 17 "qu\\"ux"',
        'goog       20   0       ff  ,2   ,"x"    ',
    ]


def test_a_column_of_lists_of_equal_counts_is_a_matrix() -> None:
    pairs = Table.of({"f": List((floats(1, 2), floats(30, 4))), "s": List((symbols("ab"),) * 2)})
    assert show(pairs) == "f    s  \n--------\n1  2 a b\n30 4 a b"


def test_a_keyed_table_has_a_bar_after_its_keys() -> None:
    keys = Table.of({"sym": symbols(["ibm", "goog"]), "city": symbols(["NYC", "LA"])})
    values = Table.of({"qty": longs(1000, 20), "p": longs(1, 375)})
    assert show(dictionary(keys, values)).split("\n") == [
        "sym  city| qty  p  ",
        "---------| --------",
        "ibm  NYC | 1000 1  ",
        "goog LA  | 20   375",
    ]


def test_an_empty_table_shows_its_names() -> None:
    assert show(Table.of({"a": longs(), "ab": List(())})) == "a ab\n----"
    empty = dictionary(Table.of({"k": symbols([])}), Table.of({"v": longs()}))
    assert show(empty) == "k| v\n-| -"


def test_a_table_on_one_side_of_a_dictionary_heads_it() -> None:
    rows = dictionary(symbols(["a", "b"]), Table.of({"x": longs(1, 20)}))
    assert show(rows) == " | x \n-| --\na| 1 \nb| 20"
    keyed = dictionary(Table.of({"x": longs(1, 20)}), longs(3, 4))
    assert show(keyed) == "x | \n--| -\n1 | 3\n20| 4"


SYM = Domain("sym", symbols(["a", "b", "c"]))
PLUS = builtin("+")
SQUARE = Lambda("{x*x}", ("x",), None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Enumerated(SYM, np.array([0, 2])), "`sym$`a`c"),
        (Enumerated(SYM, np.array([1]), Attribute.PARTED), "`p#`sym$`p#,`b"),
        (Enumerated(SYM, np.array([], dtype=np.int64)), "`sym$`symbol$()"),
        (EnumeratedAtom(SYM, 1), "`sym$`b"),
        (EnumeratedAtom(SYM, -1), "`sym$`"),
        (Table.of({"s": Enumerated(SYM, np.array([0, -1]))}), "s\n-\na\n "),
        (PLUS, "+"),
        (builtin("#:", operator=False), "#:"),
        (SQUARE, "{x*x}"),
        (Iterated("':", builtin("-")), "-':"),
        (Iterated("/", Iterated("/", builtin(","))), ",//"),
        (Projection(PLUS, (long(1),)), "+[1]"),
        (Projection(SQUARE, (MISSING, symbols(["a"]))), "{x*x}[;,`a]"),
        (Composition((builtin("-:"), builtin("#:"))), "-:#:"),
        (Iterated("'", Composition((builtin("-:"), builtin("#:")))), "(-:#:)'"),
        (List((Iterated("/", PLUS), longs(1, 2, 3))), "+/\n1 2 3"),
    ],
)
def test_functions_and_enumerations_show_as_they_are_written(value: Value, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (List((long(1), chars("a"), symbol("b"))), '(1;,"a";`b)'),
        (List((List((builtin(">"), symbol("price"), long(50))),)), ",(>;`price;50)"),
        (dictionary(symbols(["a", "b"]), longs(1, 2)), "`a`b!1 2"),
        (dictionary(symbols(["this"]), symbols(["that"])), "(,`this)!,`that"),
        (dictionary(symbols([]), List(())), "(`symbol$())!()"),
        (dictionary(List(()), List(())), "()!()"),
        (dictionary(symbols(["a", "b"], Attribute.UNIQUE), longs(1, 2)), "(`u#`a`b)!1 2"),
        (
            Dictionary(symbols(["a", "b"], Attribute.SORTED), longs(1, 2), Attribute.SORTED),
            "`s#`a`b!1 2",
        ),
        (Table.of({"a": longs(1, 2), "b": longs(3, 4)}), "+`a`b!(1 2;3 4)"),
        (Table.of({"a": longs(1, 2)}), "+(,`a)!,1 2"),
        (
            dictionary(Table.of({"k": longs(1, 2)}), Table.of({"v": floats(3, 4)})),
            "(+(,`k)!,1 2)!+(,`v)!,3 4f",
        ),
        (List((MISSING, NIL, List(()))), "(;::;())"),
    ],
)
def test_one_line_spelling_nests_without_ends_of_lines(value: Value, text: str) -> None:
    assert spell(value) == text


def test_digits_follow_the_precision() -> None:
    assert show(float_(2 / 3), precision=3) == "0.667"
    assert show(float_(0.1), precision=0) == "0.10000000000000001"
    assert show(floats(1, 2 / 3), precision=10) == "1 0.6666666667"


def test_long_lines_end_in_two_dots_one_column_before_the_edge() -> None:
    line = show(vector(T.LONG, np.arange(1_000_000)))
    assert len(line) == 79
    assert line.endswith("27 28 ..")
    assert len(show(chars("a" * 77))) == 79
    assert show(chars("a" * 78)) == '"' + "a" * 76 + ".."


def test_many_rows_end_in_two_dots_two_rows_before_the_edge() -> None:
    table = show(Table.of({"x": vector(T.LONG, np.arange(1000))})).split("\n")
    assert [len(table), table[-2].strip(), table[-1]] == [23, "19", ".."]
    assert len(show(Table.of({"x": vector(T.LONG, np.arange(21))})).split("\n")) == 23
    counting = dictionary(vector(T.LONG, np.arange(100)), vector(T.LONG, np.arange(100)))
    assert show(counting).split("\n")[-2:] == ["21| 21", ".."]
    ragged = List(tuple(vector(T.LONG, np.arange(20 + n)) for n in range(10)))
    assert show(ragged, rows=10, columns=10) == "\n".join(["0 1 2 3.."] * 7 + [".."])


class Console:
    """A session that has a console of 25 by 80 and keeps what is written."""

    def __init__(self) -> None:
        self.rows, self.columns, self.precision = 25, 80, 7
        self.printed: list[str] = []

    def write(self, text: str) -> None:
        self.printed.append(text)


def run(name: str, *arguments: Value) -> Value:
    return BUILTINS[name].by_rank[len(arguments)](Console(), *arguments)


def test_show_prints_and_gives_null() -> None:
    console = Console()
    assert BUILTINS["show"].by_rank[1](console, longs(1, 2)) is NIL
    assert console.printed == ["1 2\n"]


def test_console_text_is_a_string_of_ended_lines() -> None:
    table = dictionary(Table.of({"h": longs(1, 2)}), Table.of({"m": longs(4, 5)}))
    assert spell(run(".Q.s", table)) == r'"h| m\n-| -\n1| 4\n2| 5\n"'
    assert spell(run(".Q.s1", table)) == '"(+(,`h)!,1 2)!+(,`m)!,4 5"'
    assert spell(run("-3!", long(1))) == ',"1"'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (symbol("ibm"), '"ibm"'),
        (longs(2, 15), '(,"2";"15")'),
        (List((longs(2, 3), chars("abc"))), '((,"2";,"3");(,"a";,"b";,"c"))'),
        (longs(LONG_MIN), ',""'),
        (float_(-INF), '"-0w"'),
        (of(T.MONTH, 0), ',"2000.01"'),
        (SQUARE, '"{x*x}"'),
        (Iterated("/", PLUS), '"+/"'),
        (dictionary(symbols(["a"]), longs(2002)), '(,`a)!,"2002"'),
        (Table.of({"a": longs(1)}), '+(,`a)!,,,"1"'),
        (longs(), "()"),
        (Enumerated(SYM, np.array([0, 2])), '(,"a";,"c")'),
    ],
)
def test_string_writes_every_atom_without_its_type(value: Value, text: str) -> None:
    assert spell(run("string", value)) == text


@pytest.mark.parametrize(
    ("places", "number", "text"),
    [
        (2, 9.996, "10.00"),
        (2, 34.3445, "34.34"),
        (2, 7817047037.90, "7817047037.90"),
        (2, 781704703567.90, "781704703567.90"),
        (2, -0.02, "-0.02"),
        (2, -0.0001, "-0.00"),
        (2, 0.045, "0.05"),
        (0, 2.0, "2."),
        (3, NAN, ""),
    ],
)
def test_fixed_digits_round_after_scaling(places: int, number: float, text: str) -> None:
    assert spell(run(".Q.f", long(places), float_(number))) == f'"{text}"'


def test_padded_digits_become_stars_where_they_do_not_fit() -> None:
    assert spell(run(".Q.fmt", long(6), long(2), long(1))) == '"  1.00"'
    assert spell(run(".Q.fmt", long(6), long(2), float_(1234.5))) == '"******"'
    assert spell(run("-27!", Atom(T.INT, 2), floats(0.045, 1e20))) == (
        '("0.04";"100000000000000000000.00")'
    )
    with pytest.raises(QError, match="type: a number is needed"):
        run(".Q.f", long(2), symbol("a"))


def atoms_of(kind: QType) -> st.SearchStrategy[Value]:
    dtype = DTYPES[kind]
    if kind is T.GUID:
        return st.binary(min_size=16, max_size=16).map(lambda raw: Atom(kind, raw))
    if kind is T.SYMBOL:
        return st.text("abc é\n", max_size=6).map(symbol)
    if kind is T.BOOLEAN:
        return st.booleans().map(boolean)
    if dtype.kind == "f":
        return st.floats(width=32).map(lambda item: Atom(kind, item))
    bounds = np.iinfo(dtype)
    return st.integers(int(bounds.min), int(bounds.max)).map(lambda item: Atom(kind, item))


ATOMS = st.sampled_from(sorted(DTYPES)).flatmap(atoms_of)
VECTORS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda kind: st.lists(atoms_of(kind), min_size=1, max_size=30).map(collect)
)
VALUES = st.recursive(
    ATOMS | VECTORS | st.sampled_from([NIL, SQUARE, PLUS, List(()), EnumeratedAtom(SYM, 1)]),
    lambda inner: st.lists(inner, max_size=6).map(lambda items: List(tuple(items)))
    | st.lists(inner, min_size=1, max_size=4).map(
        lambda items: Dictionary(symbols(f"k{n}" for n in range(len(items))), List(tuple(items)))
    )
    | st.lists(st.lists(inner, min_size=2, max_size=2), min_size=1, max_size=3).map(
        lambda columns: Table(
            tuple(f"c{n}" for n in range(len(columns))), tuple(collect(items) for items in columns)
        )
    ),
    max_leaves=30,
)  # fmt: skip


@given(VALUES, st.integers(4, 30), st.integers(4, 120))
def test_any_value_fits_any_console(value: Value, rows: int, columns: int) -> None:
    lines = show(value, rows=rows, columns=columns).split("\n")
    assert len(lines) <= rows - 2 or "\n" in spell(value)
    assert all(len(line) <= columns - 1 for line in lines)


@given(VALUES)
def test_any_value_has_a_spelling_and_strings(value: Value) -> None:
    assert isinstance(spell(value), str)
    text = console_verbs._strings(value, 7)
    assert isinstance(text, Vector | List | Dictionary | Table)


@given(st.lists(st.integers(LONG_MIN, LONG_MAX) | st.none(), min_size=2, max_size=40))
def test_longs_read_back_from_their_spelling(items: list[int | None]) -> None:
    values = longs(*[LONG_MIN if item is None else item for item in items])
    names = {"0N": LONG_MIN, "0W": LONG_MAX, "-0W": -LONG_MAX}
    words = spell(values).split(" ")
    assert [names[word] if word in names else int(word) for word in words] == values.data.tolist()


@given(st.lists(st.floats(width=64, allow_nan=False), min_size=2, max_size=20))
def test_floats_read_back_at_full_precision(items: list[float]) -> None:
    words = spell(floats(*items), 0).removesuffix("f").split(" ")
    names = {"0w": INF, "-0w": -INF}
    assert [names.get(word) or float(word) for word in words] == items


def test_a_table_row_shows_as_a_dictionary() -> None:
    assert show(items_of(TRADES)[1]).startswith("sym  | `goog\nprice| 0n\n")


def test_an_error_shows_its_place_under_the_innermost_line() -> None:
    error = QError("type", "seen, expected, what would work", 2)
    assert show_error(error) == "'type"
    error.frames.append(("{x+\n  y+z}", 7))
    error.frames.append(("f 1", 0))
    assert show_error(error) == "'type\n  [1]    y+z}\n          ^"
    error.frames[:] = [("1+`a", 1)]
    assert show_error(error) == "'type\n  [0]  1+`a\n        ^"
