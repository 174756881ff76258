"""The engine's values survive the wire, and arrive as plain Python says they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.registry import BUILTINS, register
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
    chars,
    long,
    symbol,
    symbols,
    type_of,
    vector,
)
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.analytics.q.wire_symbols import from_symbols, to_symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.q_codec import decode, encode

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
WHOLE = {kind: dtype for kind, dtype in DTYPES.items() if dtype.kind == "i"}


@st.composite
def vectors(draw: st.DrawFn) -> Vector:
    kind = draw(st.sampled_from(list(DTYPES)))
    if kind is QType.SYMBOL:
        return symbols(draw(st.lists(NAMES, max_size=5)))
    count = draw(st.integers(0, 5))
    raw = draw(
        st.binary(min_size=count * DTYPES[kind].itemsize, max_size=count * DTYPES[kind].itemsize)
    )
    if kind is QType.BOOLEAN:
        raw = bytes(byte & 1 for byte in raw)
    return Vector(kind, np.frombuffer(raw, dtype=DTYPES[kind]))


@st.composite
def atoms(draw: st.DrawFn) -> Atom:
    kind = draw(st.sampled_from([QType.SYMBOL, QType.BOOLEAN, QType.FLOAT, *WHOLE]))
    if kind is QType.SYMBOL:
        return symbol(draw(NAMES))
    if kind is QType.BOOLEAN:
        return Atom(kind, draw(st.booleans()))
    if kind is QType.FLOAT:
        return Atom(kind, draw(st.floats(allow_nan=False)))
    top = 2 ** (8 * WHOLE[kind].itemsize - 1)
    return Atom(kind, draw(st.integers(-top, top - 1)))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(0, 4))
    names = draw(st.lists(NAMES.filter(bool), min_size=1, max_size=3, unique=True))
    columns = [vector(QType.LONG, draw(st.lists(st.integers(-9, 9), min_size=rows, max_size=rows)))
               for _ in names]  # fmt: skip
    return Table(tuple(names), tuple(columns))


VALUES = st.recursive(
    st.one_of(atoms(), vectors(), tables()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: List(tuple(items))),
        st.lists(inner, max_size=3).map(
            lambda items: Dictionary(List(tuple(items)), List(tuple(reversed(items))))
        ),
    ),
    max_leaves=8,
)


def spelled(value: Value) -> object:
    """Take a value apart into plain Python, so that equality means what it says."""
    match value:
        case Atom(kind, simple):
            return ("atom", kind, repr(simple))
        case Vector(QType.SYMBOL, data, attribute):
            return ("symbols", tuple(INTERNED.names(data)), attribute)
        case Vector(kind, data, attribute):
            return (kind, data.tobytes(), attribute)
        case List(items):
            return ("list", tuple(map(spelled, items)))
        case Dictionary(keys, values):
            return ("dictionary", spelled(keys), spelled(values))
        case Table(names, columns):
            return ("table", names, tuple(map(spelled, columns)))
    raise AssertionError(value)


@given(VALUES)
def test_values_survive_the_wire(value: Value) -> None:
    assert spelled(from_wire(decode(encode(to_wire(value))))) == spelled(value)


@pytest.mark.kernel
@given(st.lists(NAMES, max_size=200), st.integers(1, 400))
def test_symbols_of_the_wire_are_interned_as_plain_splitting_says(
    names: list[str], times: int
) -> None:
    repeated = (names * times)[:2000]
    text = "".join(f"{name}\0" for name in repeated).encode()
    ids = from_symbols(q.SymbolVector(text, len(repeated)))
    assert INTERNED.names(ids) == text.decode().split("\0")[:-1]
    assert to_symbols(ids).text == text


@pytest.mark.kernel
def test_many_different_symbols_make_the_search_grow() -> None:
    names = [f"name{number}" for number in range(9000)]
    text = "".join(f"{name}\0" for name in names).encode()
    assert INTERNED.names(from_symbols(q.SymbolVector(text, 9000))) == names


def test_a_symbol_ends_at_its_first_nul_as_everywhere_on_the_wire() -> None:
    assert to_symbols(INTERNED.ids(["a\0b", "c"])).text == b"a\0c\0"
    assert encode(to_wire(symbol("a\0b"))) == b"\xf5a\0"


def test_enumerations_travel_as_the_symbols_that_they_stand_for() -> None:
    domain = Domain("sym", symbols(["a", "b"]))
    column = Enumerated(domain, np.array([1, -1, 0]))
    assert to_wire(column) == q.symbols(["b", "", "a"])
    assert to_wire(EnumeratedAtom(domain, 1)) == q.symbol("b")
    assert to_wire(Table(("s",), (column,))).columns[0] == q.symbols(["b", "", "a"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("data", "kept"), [([1, 2, 2], Attribute.SORTED), ([2, 1, 2], Attribute.NONE)]
)
def test_a_peer_s_promise_of_order_is_kept_only_if_it_is_true(
    data: list[int], kept: Attribute
) -> None:
    arrived = from_wire(q.vector(QType.LONG, data, Attribute.SORTED))
    assert isinstance(arrived, Vector)
    assert arrived.attribute is kept
    names = from_wire(q.symbols([f"s{item}" for item in data], Attribute.SORTED))
    assert isinstance(names, Vector)
    assert names.attribute is kept


def test_other_promises_are_not_taken_from_a_peer() -> None:
    arrived = from_wire(q.vector(QType.LONG, [1, 1], Attribute.UNIQUE))
    assert isinstance(arrived, Vector)
    assert arrived.attribute is Attribute.NONE


def test_attributes_are_told_to_peers() -> None:
    assert to_wire(vector(QType.LONG, [1, 2], Attribute.SORTED)) == q.vector(
        QType.LONG, [1, 2], Attribute.SORTED
    )


PLUS = Builtin("+", {2: lambda *given: NIL}, is_operator=True)
COUNT = Builtin("#:", {1: lambda *given: NIL})
ADDS = Lambda("{x+y}", ("x", "y"), None, ".mine")


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (NIL, "6500"),
        (PLUS, "6601"),
        (COUNT, "650d"),
        (Adverb("/:"), "6704"),
        (Iterated("/", PLUS), "6b6601"),
        (Composition((COUNT, PLUS)), "6902000000650d6601"),
        (Projection(PLUS, (MISSING, long(1))), "6803000000660165fff90100000000000000"),
        (ADDS, "646d696e65000a00050000007b782b797d"),
    ],
)
def test_functions_travel_by_their_numbers_or_their_text(value: Value, wire: str) -> None:
    assert encode(to_wire(value)).hex() == wire


def test_functions_come_back_as_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILTINS, "+", PLUS)
    monkeypatch.setitem(BUILTINS, "#:", COUNT)
    projection = Projection(Iterated("/", PLUS), (MISSING, long(1)))
    made: list[tuple[str, str]] = []

    def functions(source: str, namespace: str) -> Value:
        made.append((source, namespace))
        return ADDS

    found = from_wire(to_wire(List((projection, COUNT, ADDS, NIL))), functions)
    assert isinstance(found, List)
    assert [type_of(item) for item in found.items] == [104, 101, 100, 101]
    assert isinstance(found.items[0], Projection)
    assert isinstance(found.items[0].function, Iterated)
    assert found.items[0].function.function is PLUS
    assert found.items[0].arguments[0] is MISSING
    assert found.items[1] is COUNT
    assert made == [("{x+y}", ".mine")]


def test_a_built_in_without_a_number_travels_as_a_function_that_calls_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tickloop.analytics.q.registry.BUILTINS", BUILTINS)

    @register("testuntil", rank=1)
    def until(count: Value) -> Value:
        return count

    @register("testof", rank=3)
    def of(left: Value, right: Value, third: Value) -> Value:
        return left

    found = BUILTINS["testuntil"], BUILTINS["testof"]
    del BUILTINS["testuntil"], BUILTINS["testof"]
    assert to_wire(found[0]) == q.Lambda("", "{testuntil x}")
    assert to_wire(found[1]) == q.Lambda("", "{[x;y;z]testof[x;y;z]}")


def test_a_number_that_no_function_has_is_refused() -> None:
    with pytest.raises(QError, match="nyi"):
        from_wire(q.Primitive(102, 200))
    with pytest.raises(QError, match="type"):
        from_wire(q.Primitive(103, 77))


def test_functions_are_refused_where_nothing_can_run_them() -> None:
    with pytest.raises(QError, match="data expected"):
        from_wire(q.Lambda("", "{x}"))


def test_a_text_is_a_char_vector_on_both_sides() -> None:
    assert to_wire(chars("abc")) == q.chars("abc")


def test_an_error_that_arrives_is_raised() -> None:
    with pytest.raises(QError, match="type: nothing fits"):
        from_wire(q.Signal("type: nothing fits"))
