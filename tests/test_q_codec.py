"""The q wire codec against KX's own worked examples, KX's own code, and hostile bytes."""

import struct
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.core.dialects import q
from tickloop.core.errors import WireError
from tickloop.tickerplant.q_codec import (
    DecodeLimits,
    MessageKind,
    decode,
    decode_prefix,
    encode,
    message,
    open_message,
    parse_header,
)
from tickloop.tickerplant.q_values import (
    DTYPES,
    IDENTITY,
    INFINITIES,
    NULLS,
    Atom,
    Attribute,
    Derived,
    Dictionary,
    Lambda,
    List,
    Primitive,
    QType,
    Signal,
    Value,
    atom,
    boolean,
    chars,
    is_keyed_table,
    items,
    long,
    null,
    symbol,
    symbols,
    table,
    vector,
)

SIZE_MAX = 1 << 20
# PyKX says so for every value of type 15, which the codec must carry all the same.
pytestmark = pytest.mark.filterwarnings("ignore:The q datetime type is deprecated")


def frame(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


def through_kx(kx: Any, payload: bytes) -> bytes:
    whole = bytes(kx.serialize(kx.deserialize(message(MessageKind.ASYNC, payload))))
    return whole[8:]


def ints(*values: int) -> Value:
    return vector(QType.INT, values)


AB = symbols(["a", "b"])
TABLE = table({"a": ints(2), "b": ints(3)})
KEYED = Dictionary(table({"a": ints(2)}), table({"b": ints(3)}))

# The worked examples of KX's documentation, page kb/serialization.
KX_EXAMPLES = {
    "int": (Atom(QType.INT, 1), "010000000d000000fa01000000"),
    "ints": (ints(1), "010000001200000006000100000001000000"),
    "bytes": (
        vector(QType.BYTE, [0, 1, 2, 3, 4]),
        "01000000130000000400050000000001020304",
    ),
    "list": (
        items(vector(QType.BYTE, [0, 1, 2, 3, 4])),
        "01000000190000000000010000000400050000000001020304",
    ),
    "dictionary": (
        Dictionary(AB, ints(2, 3)),
        "0100000021000000630b0002000000610062000600020000000200000003000000",
    ),
    "sorted dictionary": (
        Dictionary(symbols(["a", "b"], Attribute.SORTED), ints(2, 3), sorted=True),
        "01000000210000007f0b0102000000610062000600020000000200000003000000",
    ),
    "dictionary of vectors": (
        Dictionary(AB, items(ints(2), ints(3))),
        "010000002d000000630b00020000006100620000000200000006000100000002000000"
        "06000100000003000000",
    ),
    "table": (
        TABLE,
        "010000002f0000006200630b00020000006100620000000200000006000100000002000000"
        "06000100000003000000",
    ),
    "keyed table": (
        KEYED,
        "010000003f000000636200630b00010000006100000001000000060001000000020000006200"
        "630b0001000000620000000100000006000100000003000000",
    ),
    "function": (Lambda("", "{x+y}"), "010000001500000064000a00050000007b782b797d"),
    "function of a namespace": (
        Lambda("d", "{x+y}"),
        "01000000160000006464000a00050000007b782b797d",
    ),
}


@pytest.mark.parametrize("name", KX_EXAMPLES)
def test_kx_examples_are_written_and_read_byte_for_byte(name: str) -> None:
    value, text = KX_EXAMPLES[name]
    raw = bytes.fromhex(text)
    assert message(MessageKind.ASYNC, encode(value)) == raw
    assert open_message(raw, size_max=SIZE_MAX) == (MessageKind.ASYNC, value)


def test_a_sorted_table_keeps_its_parted_first_column() -> None:
    raw = bytes.fromhex(
        "010000002f0000006201630b0002000000610062000000020000000603010000000200000006000100"
        "000003000000"
    )
    _, value = open_message(raw, size_max=SIZE_MAX)
    assert message(MessageKind.ASYNC, encode(value)) == raw


def test_keyed_tables_are_told_from_other_dictionaries() -> None:
    assert is_keyed_table(KEYED)
    assert not is_keyed_table(Dictionary(AB, ints(2, 3)))


def edge_values(kind: QType) -> list[Any]:
    edges: list[Any] = [NULLS[kind]]
    if kind in INFINITIES:
        edges += [INFINITIES[kind], -INFINITIES[kind]]
    return edges


def simple(kind: QType) -> st.SearchStrategy[Any]:
    if kind is QType.GUID:
        return st.binary(min_size=16, max_size=16)
    dtype = np.dtype(DTYPES[kind])
    if kind is QType.BOOLEAN:
        return st.integers(0, 1)
    if dtype.kind == "f":
        return st.one_of(
            st.floats(width=32 if dtype.itemsize == 4 else 64), st.sampled_from(edge_values(kind))
        )
    bounds = np.iinfo(dtype)
    return st.one_of(
        st.integers(int(bounds.min), int(bounds.max)), st.sampled_from(edge_values(kind))
    )


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
ATTRIBUTES = st.sampled_from([Attribute.NONE, Attribute.GROUPED])
ATOMS = st.one_of(
    *[simple(kind).map(partial(atom, kind)) for kind in DTYPES],
    NAMES.map(symbol),
)


def lists_of(size: st.SearchStrategy[int]) -> st.SearchStrategy[Value]:
    def sized(count: int) -> st.SearchStrategy[Value]:
        vectors = [
            st.lists(simple(kind), min_size=count, max_size=count).map(partial(vector, kind))
            for kind in DTYPES
        ]
        names = st.builds(symbols, st.lists(NAMES, min_size=count, max_size=count), ATTRIBUTES)
        mixed = st.lists(ATOMS, min_size=count, max_size=count).map(lambda got: items(*got))
        return st.one_of(*vectors, names, mixed)

    return size.flatmap(sized)


def tables(size: int) -> st.SearchStrategy[Value]:
    columns = st.dictionaries(
        st.sampled_from(["time", "sym", "price", "a b", "ü"]), lists_of(st.just(size)), min_size=1
    )
    return columns.map(table)


SMALL = st.integers(0, 4)
DICTIONARIES = SMALL.flatmap(
    lambda size: st.builds(Dictionary, lists_of(st.just(size)), lists_of(st.just(size)))
)
KEYED_TABLES = SMALL.flatmap(lambda size: st.builds(Dictionary, tables(size), tables(size)))
DATA = st.recursive(
    st.one_of(ATOMS, lists_of(SMALL), DICTIONARIES, SMALL.flatmap(tables), KEYED_TABLES),
    lambda inner: st.lists(inner, max_size=4).map(lambda got: items(*got)),
    max_leaves=6,
)


@pytest.mark.kernel
@given(value=DATA)
def test_values_survive_encoding(value: Value) -> None:
    assert decode(encode(value)) == value


@settings(max_examples=300)
@given(value=DATA)
def test_kx_reads_what_is_written_and_writes_it_back_alike(kx: Any, value: Value) -> None:
    payload = encode(value)
    assert through_kx(kx, payload) == payload


@pytest.mark.parametrize("kind", DTYPES)
def test_nulls_and_infinities_of_every_type_are_those_of_kx(kx: Any, kind: QType) -> None:
    name = {QType.BOOLEAN: "Boolean", QType.GUID: "GUID", QType.DATETIME: "Datetime"}.get(
        kind, kind.name.title()
    )
    if kind in INFINITIES:
        for value in (INFINITIES[kind], -INFINITIES[kind]):
            read = kx.deserialize(message(MessageKind.ASYNC, encode(atom(kind, value))))
            assert type(read).__name__ == f"{name}Atom"
            assert read.is_inf
    read = kx.deserialize(message(MessageKind.ASYNC, encode(null(kind))))
    assert type(read).__name__ == f"{name}Atom"
    assert read.is_null or kind in (QType.BOOLEAN, QType.BYTE)


@pytest.mark.parametrize(
    "make",
    [
        lambda np_, kx: kx.toq(np_.arange(3, dtype=np_.int16)),
        lambda np_, kx: kx.toq(np_.array([1.5, np_.nan])),
        lambda np_, kx: kx.toq(np_.array(["2024-01-02", "NaT"], dtype="datetime64[D]")),
        lambda np_, kx: kx.toq(["a", b"text", None, 2.5, True, [1, "x"]]),
        lambda np_, kx: kx.toq({"a": 1, "b": [1, 2]}),
        lambda np_, kx: kx.toq(frame({"sym": ["a", "b"], "x": [1, np_.nan]})),
        lambda np_, kx: kx.toq([]),
    ],
)
def test_what_kx_writes_is_read_and_written_back_alike(kx: Any, make: Any) -> None:
    raw = bytes(kx.serialize(make(np, kx)))
    kind, value = open_message(raw, size_max=SIZE_MAX)
    assert message(kind, encode(value)) == raw


@pytest.mark.parametrize(
    "value",
    [
        IDENTITY,
        Primitive(101, 41),
        Primitive(102, 1),
        Primitive(103, 2),
        Derived(104, (Primitive(102, 1), long(0))),
        Derived(105, (Primitive(101, 1), Primitive(101, 2))),
        *[Derived(kind, (Primitive(102, 1),)) for kind in range(106, 112)],
        symbols(["a"], Attribute.UNIQUE),
        vector(QType.LONG, [1, 1], Attribute.PARTED),
        List((boolean(True),), Attribute.SORTED),
    ],
)
def test_functions_and_attributes_travel_as_kx_spells_them(kx: Any, value: Value) -> None:
    payload = encode(value)
    assert through_kx(kx, payload) == payload
    assert decode(payload) == value


def test_an_error_is_kx_s_error(kx: Any) -> None:
    raw = message(MessageKind.RESPONSE, encode(Signal("no table\0 trade")))
    with pytest.raises(kx.QError, match="no table  trade"):
        kx.deserialize(raw)
    assert open_message(raw, size_max=99) == (MessageKind.RESPONSE, Signal("no table  trade"))


def big_endian(value: Value) -> bytes:
    """Write the few shapes below as a big-endian peer does; a plain reading of the format."""
    if isinstance(value, Atom):
        code = {QType.LONG: "q", QType.FLOAT: "d", QType.SHORT: "h"}[value.type]
        return struct.pack(f">b{code}", -value.type, value.value)
    assert isinstance(value, List)
    return struct.pack(">bBi", 0, 0, len(value)) + b"".join(map(big_endian, value.items))


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_big_endian_peers_are_read(numbers: list[int]) -> None:
    raw = struct.pack(">bBi", 7, 0, len(numbers)) + struct.pack(f">{len(numbers)}q", *numbers)
    assert decode(raw, little_endian=False) == vector(QType.LONG, numbers)
    atoms = items(*map(long, numbers))
    assert decode(big_endian(atoms), little_endian=False) == atoms


def test_big_endian_headers_are_read(kx: Any) -> None:
    raw = b"\0\1\0\0" + struct.pack(">i", 17) + struct.pack(">bq", -7, 5)
    assert open_message(raw, size_max=99) == (MessageKind.SYNC, long(5))
    assert kx.deserialize(raw).py() == 5


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "1 bytes expected, 0 left"),
        (b"\x14\0\0\0\0\0", "never travels"),
        (b"\xec" + bytes(8), "never travels"),
        (b"\x70\0", "type 112 is not known"),
        (b"\x07\0\xff\xff\xff\x7f", "bytes expected"),
        (b"\x00\0\xff\xff\xff\x7f", "claims 2147483647 items"),
        (b"\x0b\0\xff\xff\xff\x7fa\0", "claims 2147483647 symbols"),
        (b"\x0b\0\2\0\0\0abc\0", "fewer than the 2 symbols"),
        (b"\x07\0\xff\xff\xff\xff", "count -1"),
        (b"\x07\5\0\0\0\0", "attribute 5"),
        (b"\xff\2", "boolean 2"),
        (b"\1\0\1\0\0\0\5", "boolean 5"),
        (b"\xf5abc", "NUL"),
        (b"\x68\xff\xff\xff\x7f", "claims"),
        (b"\x62\0\x07\0\0\0\0\0", "table"),
        (b"\x63\xff\1\xff\1", "no list"),
        (b"\x64\0\xff\1", "without source"),
        (b"\xff\1\0", "one value"),
    ],
)
def test_damage_is_named_with_its_place(payload: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        decode(payload)


def test_unequal_tables_and_dictionaries_are_refused() -> None:
    ragged = encode(items(ints(1), ints(1, 2)))
    with pytest.raises(WireError, match="unequal counts"):
        decode(b"\x62\0\x63" + encode(AB) + ragged)
    with pytest.raises(WireError, match="2 keys for 1 values"):
        decode(b"\x63" + encode(AB) + encode(ints(1)))


def test_depth_is_bounded_both_ways() -> None:
    nested: Value = long(1)
    for _ in range(63):
        nested = items(nested)
    assert decode(encode(nested)) == nested
    with pytest.raises(WireError, match="levels"):
        encode(items(nested))
    with pytest.raises(WireError, match="levels"):
        decode(b"\0\0\1\0\0\0" * 100_000 + b"\xff\1")


def test_the_number_of_values_in_a_message_is_bounded() -> None:
    payload = encode(items(*[boolean(True)] * 100))
    with pytest.raises(WireError, match="claims 100 items"):
        decode(payload, limits=DecodeLimits(depth=4, values=50))
    halves = encode(items(items(*[boolean(True)] * 30), items(*[boolean(True)] * 30)))
    with pytest.raises(WireError):
        decode(halves, limits=DecodeLimits(depth=4, values=50))


@pytest.mark.parametrize(
    "raw", ["0200000009000000", "0103000009000000", "0100020009000000", "0100000109000000"]
)
def test_headers_of_other_protocols_are_refused(raw: str) -> None:
    with pytest.raises(WireError, match="q client"):
        parse_header(bytes.fromhex(raw), size_max=99)


@pytest.mark.parametrize("size", [-5, 0, 8, 1000])
def test_announced_sizes_are_bounded(size: int) -> None:
    with pytest.raises(WireError, match="9 to 99 accepted"):
        parse_header(struct.pack("<BBBBi", 1, 0, 0, 0, size), size_max=99)


def test_values_follow_one_another_in_a_log() -> None:
    log = encode(long(1)) + encode(symbol("a")) + encode(TABLE)
    first, at = decode_prefix(log)
    second, at = decode_prefix(log, at)
    third, at = decode_prefix(log, at)
    assert (first, second, third, at) == (long(1), symbol("a"), TABLE, len(log))


@pytest.mark.kernel
@settings(max_examples=400)
@given(st.binary(max_size=80))
def test_random_bytes_are_values_or_named_damage(raw: bytes) -> None:
    try:
        value = decode(raw)
    except WireError:
        return
    assert encode(value)[:1] == raw[:1]


@settings(max_examples=300)
@given(value=DATA, at=st.integers(0, 10_000), byte=st.integers(0, 255), kept=st.integers(0, 9999))
def test_mutated_messages_are_values_or_named_damage(
    value: Value, at: int, byte: int, kept: int
) -> None:
    raw = bytearray(encode(value))
    raw[at % len(raw)] = byte
    try:
        decode(bytes(raw[: 1 + kept % len(raw)]))
    except WireError as error:
        assert "byte" in str(error)


def test_type_numbers_are_those_of_the_schema() -> None:
    numbers = {kind.name.lower(): int(kind) for kind in QType}
    assert {"": 0, **numbers} == q.NUMBERS


def test_nan_equals_nan_and_types_differ() -> None:
    nan = float("nan")
    assert atom(QType.FLOAT, nan) == atom(QType.FLOAT, nan)
    assert vector(QType.REAL, [1.0, nan]) == vector(QType.REAL, [1.0, nan])
    assert vector(QType.INT, [1]) != vector(QType.DATE, [1])
    assert vector(QType.LONG, [1]) != vector(QType.LONG, [1], Attribute.SORTED)
    assert long(1) != atom(QType.INT, 1)


def test_text_that_is_not_utf8_survives() -> None:
    payload = b"\xf5\xff\xfe\0"
    assert encode(decode(payload)) == payload
    assert encode(chars(b"\xff\0\xfe")) == b"\x0a\0\3\0\0\0\xff\0\xfe"
