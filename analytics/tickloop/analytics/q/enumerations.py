"""Enumerations: symbols held as positions in a named list of the session."""

from dataclasses import replace
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.partitioned import PartitionedTable
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.union import positions
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    Domain,
    Enumerated,
    EnumeratedAtom,
    List,
    Table,
    Value,
    Vector,
    collect,
    items_of,
    names_of,
    plain,
    symbols,
)

_DOMAINS: "WeakKeyDictionary[Interpreter, dict[str, Domain]]" = WeakKeyDictionary()


def domain_of(session: Interpreter, name: str) -> Domain:
    """Give a session's domain of a name, as its variable is now.

    There is one for each name, so that enumerations made at different times are alike.
    """
    if not name:
        raise type_error("the null symbol seen, the name of a list of symbols needed")
    target = session.get(name)
    if isinstance(target, List) and not target.items:
        target = symbols(())
    if not isinstance(target, Vector | Dictionary | Table):
        raise type_error(f"{name} is no list of symbols or keyed table to enumerate by")
    if isinstance(target, PartitionedTable):
        raise QError("par", f"{name} is partitioned; a link points into a table in memory")
    domains = _DOMAINS.setdefault(session, {})
    domain = domains.setdefault(name, Domain(name, target))
    domain.target = target
    return domain


def known_domain(session: Interpreter, name: str) -> Domain:
    """Give a domain that files speak of; without its variable, no position has a symbol."""
    try:
        return domain_of(session, name)
    except QError:
        domains = _DOMAINS.setdefault(session, {})
        return domains.setdefault(name, Domain(name, symbols(())))


def assigned(session: Interpreter, name: str, value: Value) -> None:
    """Let enumerations over a variable follow its new value."""
    domain = _DOMAINS.get(session, {}).get(name)
    if domain is not None and isinstance(value, Vector | Dictionary | Table):
        domain.target = value


def enumerate_by(session: Interpreter, name: str, value: Value) -> Value:
    """Give symbols as positions in a variable's list; 'cast if one is not in it."""
    return _enumerated(domain_of(session, name), value)


def extend(session: Interpreter, name: str, value: Value) -> Value:
    """Add the symbols that a variable's list lacks, then give them all as positions in it."""
    domain = domain_of(session, name)
    added = _missing(domain, value)
    if added:
        if not isinstance(domain.target, Vector):
            raise QError("cast", f"{name} is a keyed table, which {added[0]} cannot be added to")
        ids = np.concatenate([domain.target.data, symbols(added).data])
        target = Vector(domain.target.type, ids)
        session.set(name, target)
        domain.target = target
    enumerated = _enumerated(domain, value)
    if isinstance(enumerated, Enumerated) and isinstance(value, Vector):
        return replace(enumerated, attribute=value.attribute)
    return enumerated


def _missing(domain: Domain, value: Value) -> list[str]:
    value = plain(value)
    if isinstance(value, List):
        names = [name for item in value.items for name in _missing(domain, item)]
        return list(dict.fromkeys(names))
    found = names_of(value)
    if found is None:
        raise type_error("symbols needed to enumerate")
    places = positions(_keys(domain), symbols(found))
    names = [name for name, place in zip(found, places.tolist(), strict=True) if place < 0]
    return list(dict.fromkeys(names))


def _keys(domain: Domain) -> Value:
    if isinstance(domain.target, Vector):
        return domain.target
    if isinstance(domain.target, Table):
        raise type_error(f"{domain.name} has no keys; a link is `{domain.name}!positions")
    keys = domain.target.keys
    if isinstance(keys, Table) and len(keys.columns) > 1:
        return keys
    return plain(keys.columns[0]) if isinstance(keys, Table) else keys


def enumerated_by(domain: Domain, value: Value) -> Enumerated:
    """Find keys of any type in a foreign key's table; 'cast if one is not there."""
    found = _enumerated(domain, value)
    assert isinstance(found, Enumerated)
    return found


def _by_rows(domain: Domain, keys: Table, value: List) -> Enumerated:
    """Find rows of several keys."""
    rows = [items_of(item) for item in value.items]
    if any(len(row) != len(keys.columns) for row in rows):
        raise QError("length", f"{domain.name} has {len(keys.columns)} keys")
    columns = [collect(list(column)) for column in zip(*rows, strict=True)]
    places = positions(keys, Table(keys.names, tuple(columns)))
    if (places < 0).any():
        raise QError("cast", f"a row is not among the keys of {domain.name}")
    return Enumerated(domain, places.astype(np.int64))


def _enumerated(domain: Domain, value: Value) -> Value:
    value = plain(value)
    keys = _keys(domain)
    if isinstance(keys, Table) and isinstance(value, List) and value.items:
        return _by_rows(domain, keys, value)
    if isinstance(keys, Table) and isinstance(value, Vector):
        # One row of keys is one foreign key.
        row = _by_rows(domain, keys, List((value,)))
        return EnumeratedAtom(domain, int(row.data[0]))
    if isinstance(value, List) and value.items:
        return collect([_enumerated(domain, item) for item in value.items])
    if isinstance(value, List):
        return Enumerated(domain, np.zeros(0, dtype=np.int64))
    if not isinstance(value, Atom | Vector):
        raise type_error("symbols needed to enumerate")
    wanted = value if isinstance(value, Vector) else cast(Vector, collect([value]))
    places = positions(keys, wanted)
    if (places < 0).any():
        raise QError(
            "cast", f"an item is not in {domain.name}; `{domain.name}?x adds what it lacks"
        )
    if isinstance(value, Atom):
        return EnumeratedAtom(domain, int(places[0]))
    return Enumerated(domain, places.astype(np.int64))
