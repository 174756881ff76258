"""Every value on one line, as -3! and .Q.s1 spell it: (1;2 3f;`a`b!"xy")."""

from tickloop.analytics.q.console_cells import (
    ESCAPED,
    TEMPORALS,
    cell,
    cells,
    guid_text,
    number_text,
)
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.values import (
    TYPE_CHARS,
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
    Missing,
    Nil,
    Projection,
    QType,
    Table,
    Value,
    Vector,
    atom_at,
    plain,
    symbols,
)

ATTRIBUTES = {
    Attribute.NONE: "",
    Attribute.SORTED: "`s#",
    Attribute.UNIQUE: "`u#",
    Attribute.PARTED: "`p#",
    Attribute.GROUPED: "`g#",
}
TYPE_NAMES = {kind: kind.name.lower() for kind in TYPE_CHARS}
# Types whose text alone tells them apart, unless there is nothing in it but nulls and infinities.
_TELLING = TEMPORALS - {QType.MONTH}
_SUFFIXES = {
    QType.SHORT: "h", QType.INT: "i", QType.LONG: "", QType.REAL: "e", QType.MONTH: "m",
}  # fmt: skip


def spell(value: Value, precision: int = 7) -> str:
    """Spell a value on one line; a function by its text, which may hold ends of lines."""
    if isinstance(value, Atom):
        return spell_atom(value, precision)
    if isinstance(value, Vector):
        return ATTRIBUTES[value.attribute] + spell_vector(value, precision)
    if isinstance(value, List):
        return ATTRIBUTES[value.attribute] + _spell_list(value, precision)
    if isinstance(value, Dictionary):
        return _spell_dictionary(value, precision)
    if isinstance(value, Table):
        return _spell_table(value, precision)
    if isinstance(value, EnumeratedAtom):
        return f"`{value.domain.name}{_link_mark(value.domain)}{spell(plain(value))}"
    if isinstance(value, Enumerated):
        return _spell_enumerated(value, precision)
    return spell_function(value, precision)


def spell_atom(value: Atom, precision: int) -> str:
    """Spell an atom with the suffix or quotes that tell its type."""
    kind, item = value.type, value.value
    if kind is QType.SYMBOL:
        return f"`{item!s}"
    if kind is QType.CHAR:
        return f'"{ESCAPED[int(item)]}"'
    if kind is QType.BOOLEAN:
        return "1b" if item else "0b"
    if kind is QType.BYTE:
        return f"0x{int(item):02x}"
    if kind is QType.GUID:
        assert isinstance(item, bytes)
        return guid_text(item)
    assert isinstance(item, int | float)
    text = number_text(kind, item, precision)
    return text + _suffix(kind, [text])


def _suffix(kind: QType, texts: list[str]) -> str:
    """Give what must stand after numbers so that their type can be read."""
    if kind is QType.FLOAT:
        return "" if any(mark in text for text in texts for mark in ".enw") else "f"
    if kind in _TELLING:
        told = any(text[-2:] not in ("0N", "0W", "0w") for text in texts)
        return "" if told else TYPE_CHARS[kind]
    return _SUFFIXES[kind]


def spell_vector(value: Vector, precision: int) -> str:
    """Spell a vector without its attribute."""
    kind, count = value.type, len(value)
    if kind is QType.CHAR:
        text = "".join([ESCAPED[code] for code in value.data.tolist()])
        return f',"{text}"' if count == 1 else f'"{text}"'
    if count == 0:
        return f"`{TYPE_NAMES[kind]}$()"
    if count == 1:
        return "," + spell_atom(atom_at(value, 0), precision)
    if kind is QType.SYMBOL:
        return "`" + "`".join(INTERNED.names(value.data))
    if kind is QType.BOOLEAN:
        return "".join(cells(value, precision)) + "b"
    if kind is QType.BYTE:
        return "0x" + value.data.tobytes().hex()
    if kind is QType.GUID:
        return " ".join(cells(value, precision))
    texts = [number_text(kind, item, precision) for item in value.data.tolist()]
    return " ".join(texts) + _suffix(kind, texts)


def _spell_enumerated(value: Enumerated, precision: int) -> str:
    """Spell the cast that makes it; the symbols inside keep the attribute too."""
    made = f"`{value.domain.name}{_link_mark(value.domain)}{spell(plain(value), precision)}"
    return ATTRIBUTES[value.attribute] + made


def _link_mark(domain: Domain) -> str:
    """Give the verb that makes it: a link is made of positions by !, all else by a cast."""
    return "!" if isinstance(domain.target, Table) else "$"


def _spell_list(value: List, precision: int) -> str:
    texts = [spell(item, precision) for item in value.items]
    if len(texts) == 1:
        return "," + texts[0]
    return "(" + ";".join(texts) + ")"


def _spell_dictionary(value: Dictionary, precision: int) -> str:
    keys, sorted_ = value.keys, value.attribute is Attribute.SORTED
    if sorted_ and isinstance(keys, Vector) and keys.attribute is Attribute.SORTED:
        keys = Vector(keys.type, keys.data)
    text = spell(keys, precision)
    if not text.startswith("(") and _needs_brackets(keys, text):
        text = f"({text})"
    mark = ATTRIBUTES[value.attribute]
    return f"{mark}{text}!{spell(value.values, precision)}"


def _needs_brackets(keys: Value, text: str) -> bool:
    """Tell whether what follows would be read as part of the keys."""
    if isinstance(keys, Vector | List):
        return len(keys) < 2 or keys.attribute is not Attribute.NONE
    return isinstance(keys, Enumerated | Table | Dictionary)


def _spell_table(value: Table, precision: int) -> str:
    columns = Dictionary(symbols(value.names), List(value.columns))
    return f"{ATTRIBUTES[value.attribute]}+{spell(columns, precision)}"


def spell_function(value: Value, precision: int = 7) -> str:
    """Spell a function: its source or name, its arguments, its iterators."""
    if isinstance(value, Builtin):
        return value.name
    if isinstance(value, Lambda):
        return value.source
    if isinstance(value, Projection):
        arguments = ";".join(spell(argument, precision) for argument in value.arguments)
        return f"{_operand(value.function, precision)}[{arguments}]"
    if isinstance(value, Composition):
        return "".join(spell(function, precision) for function in value.functions)
    if isinstance(value, Iterated):
        return _operand(value.function, precision) + value.iterator
    if isinstance(value, Adverb):
        return value.iterator
    if isinstance(value, Missing):
        return ""
    assert isinstance(value, Nil), type(value)
    return "::"


def _operand(function: Value, precision: int) -> str:
    text = spell(function, precision)
    return f"({text})" if isinstance(function, Composition) else text


def string_of(atom: Value, precision: int = 7) -> str:
    """Write an atom or function as `string` does: no suffix, no quotes, nulls blank."""
    atom = plain(atom)
    if isinstance(atom, Atom):
        if atom.type is QType.CHAR:
            return chr(int(atom.value))
        return cell(atom.type, atom.value, precision)
    return spell(atom, precision)
