"""From the syntax tree to closures: what runs is a chain of small Python functions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tickloop.analytics.q.assignment import compile_assign
from tickloop.analytics.q.control import compile_control
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.lambdas import SELF, Body, Code, Frame, ReturnSignal
from tickloop.analytics.q.literal_tables import compile_table
from tickloop.analytics.q.local_names import with_locals
from tickloop.analytics.q.naming import names_in
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.scope import Scope, assigned_names, pattern_names
from tickloop.analytics.q.syntax import (
    Apply,
    Assign,
    Block,
    Constant,
    Control,
    Derived,
    Function,
    Iterator,
    ListOf,
    Name,
    Node,
    Return,
    Signal,
    TableOf,
    Template,
    Train,
    Verb,
)
from tickloop.analytics.q.templates import compile_template
from tickloop.analytics.q.values import (
    MISSING,
    NIL,
    Adverb,
    Atom,
    Builtin,
    Composition,
    Iterated,
    Lambda,
    Nil,
    Projection,
    Value,
    collect,
    is_function,
    name_of,
    text_of,
)


def compile_node(node: Node, scope: Scope) -> Code:
    """Make the closure that computes a node's value from a frame of locals."""
    return _COMPILERS[type(node)](node, scope)


def builtin(name: str, position: int) -> Builtin:
    """Find a built-in by its spelling."""
    found = BUILTINS.get(name)
    if found is None and name.endswith(":"):
        # `$:` is how the console shows `string`, and may be written for it.
        found = next((known for known in BUILTINS.values() if known.name == name), None)
    if found is None:
        raise QError("nyi", f"{name} is not part of this engine", position)
    return found


def located(error: QError, position: int) -> QError:
    """Note where an error happened, if nothing further in has."""
    if error.position is None:
        error.position = position
    return error


def _constant(node: Constant, scope: Scope) -> Code:
    value = node.value
    return lambda frame: value


def _verb(node: Verb, scope: Scope) -> Code:
    value = builtin(node.name, node.position)
    return lambda frame: value


def _iterator(node: Iterator, scope: Scope) -> Code:
    value = Adverb(node.iterator)
    return lambda frame: value


def _derived(node: Derived, scope: Scope) -> Code:
    iterator = node.iterator
    if isinstance(node.function, Verb):
        value = Iterated(iterator, builtin(node.function.name, node.position))
        return lambda frame: value
    function = compile_node(node.function, scope)
    return lambda frame: Iterated(iterator, function(frame))


def _name(node: Name, scope: Scope) -> Code:
    name, position = node.name, node.position
    slot = scope.slots.get(name)
    if slot is not None:
        return lambda frame: frame[slot]
    session = scope.session
    values = session.names.plain
    full = scope.global_name(name)

    def read(frame: Frame) -> Value:
        value = values.get(full)
        if value is None:
            try:
                return session.get(full)
            except QError as error:
                raise located(error, position) from None
        return value

    return read


def _apply(node: Apply, scope: Scope) -> Code:
    if isinstance(node.function, Verb) and None not in node.arguments:
        called = builtin(node.function.name, node.function.position)
        direct = called.by_rank.get(len(node.arguments))
        if direct is not None and node.style != "project":
            return _call(direct, node, scope)
    return _general(node, scope)


def _call(called: Callable[..., Value], node: Apply, scope: Scope) -> Code:
    """Call a built-in whose rank is known: no dispatch while running."""
    session, position = scope.session, node.position
    codes = [compile_node(part, scope) for part in node.arguments if part is not None]
    if len(codes) == 1:
        only = codes[0]

        def monadic(frame: Frame) -> Value:
            value = only(frame)
            try:
                return called(session, value)
            except QError as error:
                raise located(error, position)  # noqa: B904 - the same error

        return monadic
    if len(codes) == 2:
        left, right = codes

        def dyadic(frame: Frame) -> Value:
            last = right(frame)
            first = left(frame)
            try:
                return called(session, first, last)
            except QError as error:
                raise located(error, position)  # noqa: B904 - the same error

        return dyadic

    # A functional query within a function sees the function's locals.
    sees_locals = isinstance(node.function, Verb) and node.function.name in ("?", "!")
    sees_locals = sees_locals and len(codes) > 3 and bool(scope.slots)

    def many(frame: Frame) -> Value:
        values = from_right(codes, frame)
        try:
            if sees_locals:
                values = with_locals(values, frame, scope)
            return called(session, *values)
        except QError as error:
            raise located(error, position)  # noqa: B904 - the same error

    return many


def from_right(codes: Sequence[Code], frame: Frame) -> list[Value]:
    """Compute the last first."""
    values = [code(frame) for code in reversed(codes)]
    values.reverse()
    return values


def _general(node: Apply, scope: Scope) -> Code:
    session, position = scope.session, node.position
    function = compile_node(node.function, scope)
    codes = [missing if part is None else compile_node(part, scope) for part in node.arguments]
    if node.style == "project":
        return lambda frame: _projection(function(frame), codes[0](frame))

    def run(frame: Frame) -> Value:
        arguments = from_right(codes, frame)
        called = function(frame)
        try:
            return apply(session, called, arguments)
        except QError as error:
            raise located(error, position)  # noqa: B904 - the same error

    return run


def missing(frame: Frame) -> Value:
    """Stand for an argument that was left out."""
    return MISSING


def _projection(function: Value, left: Value) -> Value:
    return Projection(function, (left,))


def _train(node: Train, scope: Scope) -> Code:
    codes = [compile_node(part, scope) for part in node.functions]
    if len(codes) == 1:
        return codes[0]
    return lambda frame: _composed(tuple(from_right(codes, frame)))


def _composed(functions: tuple[Value, ...]) -> Value:
    """Compose functions; `x ::` of a value is the value."""
    if len(functions) == 2 and isinstance(functions[1], Nil) and not is_function(functions[0]):
        return functions[0]
    return Composition(functions)


def _return(node: Return, scope: Scope) -> Code:
    code = compile_node(node.value, scope)

    def leave(frame: Frame) -> Value:
        raise ReturnSignal(code(frame))

    return leave


def _signal(node: Signal, scope: Scope) -> Code:
    code, position = compile_node(node.value, scope), node.position

    def signal(frame: Frame) -> Value:
        value = code(frame)
        name = name_of(value)
        if name is None and not isinstance(value, Atom):
            name = text_of(value)
        if name is None:
            raise QError("stype", "a symbol or a string is signalled", position)
        error = QError(name, position=position)
        error.is_signal = True
        raise error

    return signal


def _block(node: Block, scope: Scope) -> Code:
    statements = [nothing if one is None else compile_node(one, scope) for one in node.statements]
    if len(statements) == 1:
        return statements[0]

    def run(frame: Frame) -> Value:
        value: Value = NIL
        for statement in statements:
            value = statement(frame)
        return value

    return run


def nothing(frame: Frame) -> Value:
    """Stand for an empty statement."""
    return NIL


def _list(node: ListOf, scope: Scope) -> Code:
    codes = [missing if item is None else compile_node(item, scope) for item in node.items]
    if None in node.items:
        return lambda frame: Projection(
            builtin("enlist", node.position), tuple(from_right(codes, frame))
        )
    return lambda frame: collect(from_right(codes, frame))


def _function(node: Function, scope: Scope) -> Code:
    session, namespace, position = scope.session, scope.namespace, node.position
    body = compile_function(node, scope)
    local = frozenset(assigned_names(node.statements))
    label = f"{scope.owner}@:" if scope.owner else ""
    value = Lambda(node.source, node.parameters, body, namespace, local, label)
    assert position >= 0
    assert body.session is session
    return lambda frame: value


def compile_named(node: Function, name: str, scope: Scope) -> Code:
    """Compile a lambda that is assigned to a name, which errors in it tell."""
    inner = replace(scope, owner=name)
    body = compile_function(node, inner)
    local = frozenset(assigned_names(node.statements))
    value = Lambda(node.source, node.parameters, body, scope.namespace, local, f"{name}:")
    return lambda frame: value


def compile_function(node: Function, scope: Scope) -> Body:
    """Compile a lambda's body; it sees its own locals and the globals of its namespace."""
    slots = {name: slot for slot, name in enumerate(node.parameters)}
    local = assigned_names(node.statements)
    for _, pattern in node.patterns:
        local |= pattern_names(pattern)
    if SELF in names_in(node.statements):
        local.add(SELF)
    for name in sorted(local):
        slots.setdefault(name, len(slots))
    inner = Scope(scope.session, scope.namespace, slots, is_function=True, owner=scope.owner)
    opening = [
        compile_assign(
            Assign(pattern, None, Name(name, node.position), False, node.position), inner
        )
        for name, pattern in node.patterns
    ]
    *first, last = node.statements
    statements = [compile_node(statement, inner) for statement in first if statement is not None]
    if isinstance(last, Return):
        last = last.value
    result = None if last is None else compile_node(last, inner)
    return Body(
        scope.session,
        (*opening, *statements),
        result,
        len(slots) - len(node.parameters),
        node.position,
        slots.get(SELF),
    )


_COMPILERS: dict[type, Callable[[Any, Scope], Code]] = {
    Constant: _constant,
    Verb: _verb,
    Iterator: _iterator,
    Derived: _derived,
    Name: _name,
    Apply: _apply,
    Train: _train,
    Assign: compile_assign,
    Return: _return,
    Signal: _signal,
    Block: _block,
    Control: compile_control,
    ListOf: _list,
    TableOf: compile_table,
    Function: _function,
    Template: compile_template,
}
