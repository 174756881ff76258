"""Assignment: a:v, a::v, a+:v, a[i]:v, a[i]+:v and patterns (a;b):v."""

from collections.abc import Callable

from tickloop.analytics.q.amend import amend_at_depth
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.indexing import index
from tickloop.analytics.q.joining import append
from tickloop.analytics.q.lambdas import EMPTY, Code, Frame
from tickloop.analytics.q.naming import unwrapped
from tickloop.analytics.q.pattern_syntax import is_place
from tickloop.analytics.q.scope import Scope
from tickloop.analytics.q.syntax import Apply, Assign, Constant, Function, Name, Node
from tickloop.analytics.q.values import NIL, Value
from tickloop.analytics.q.words import RESERVED

Store = Callable[[Frame, Value], None]


def compile_assign(node: Assign, scope: Scope) -> Code:
    """Compile an assignment; its value is what was assigned."""
    from tickloop.analytics.q.evaluator import compile_named, compile_node

    if isinstance(node.value, Function) and isinstance(node.target, Name) and node.verb is None:
        value = compile_named(node.value, _told_name(node.target.name, scope), scope)
    else:
        value = compile_node(node.value, scope)
    if not is_place(unwrapped(node.target)):
        return _pattern(node, value, scope)
    name, path = place_of(node.target)
    if path is not None:
        return _indexed(node, name, path, value, scope)
    store = _store(name, node, scope)
    if node.verb is None:

        def assign(frame: Frame) -> Value:
            new = value(frame)
            store(frame, new)
            return new

        return assign
    return _through(node, name, value, store, scope)


def _told_name(name: str, scope: Scope) -> str:
    return name if name in scope.slots else scope.global_name(name)


def place_of(target: Node) -> tuple[Name, tuple[Node | None, ...] | None]:
    """Take a[i;j][k] apart into its name and its indexes."""
    target = unwrapped(target)
    if isinstance(target, Name):
        return target, None
    assert isinstance(target, Apply)
    name, before = place_of(target.function)
    return name, (before or ()) + target.arguments


def _store(name: Name, node: Assign, scope: Scope) -> Store:
    if name.name in RESERVED:
        raise QError("assign", f"{name.name} is a word of the language", node.position)
    slot = scope.slots.get(name.name)
    if slot is not None:

        def store_local(frame: Frame, value: Value) -> None:
            frame[slot] = value

        return store_local
    full, session = scope.global_name(name.name), scope.session
    return lambda frame, value: session.set(full, value)


def _through(node: Assign, name: Name, value: Code, store: Store, scope: Scope) -> Code:
    """Compile a+:v."""
    from tickloop.analytics.q.evaluator import builtin, located

    assert node.verb is not None
    position, session = node.verb.position, scope.session
    function = builtin(node.verb.name, position)
    old = _old(name, node, scope)
    joins = node.verb.name == ","

    def assign(frame: Frame) -> Value:
        given = value(frame)
        try:
            before = old(frame)
            new = append(before, given) if joins else apply(session, function, (before, given))
        except QError as error:
            raise located(error, position)  # noqa: B904 - the same error
        store(frame, new)
        return new

    return assign


def _old(name: Name, node: Assign, scope: Scope) -> Code:
    """Compile what a name holds before a+:v; with a,:v there may be none yet."""
    from tickloop.analytics.q.evaluator import compile_node

    if node.verb is None or node.verb.name != "," or name.name in scope.slots:
        return compile_node(name, scope)
    session, full = scope.session, scope.global_name(name.name)

    def read(frame: Frame) -> Value:
        found = session.find(full)
        return EMPTY if found is None else found

    return read


def _indexed(
    node: Assign, name: Name, path: tuple[Node | None, ...], value: Code, scope: Scope
) -> Code:
    """Compile a[i]:v and a[i]+:v."""
    from tickloop.analytics.q.evaluator import builtin, compile_node, from_right, located

    session, position = scope.session, node.position
    store = _store(name, node, scope)
    old = compile_node(name, scope)
    codes = [compile_node(part or Constant(NIL, position), scope) for part in path]
    function = None if node.verb is None else builtin(node.verb.name, node.verb.position)

    def assign(frame: Frame) -> Value:
        given = value(frame)
        indexes = from_right(codes, frame)
        try:
            new = amend_at_depth(session, old(frame), indexes, function, given)
        except QError as error:
            raise located(error, position)  # noqa: B904 - the same error
        store(frame, new)
        return given if function is None else index(session, new, indexes)

    return assign


def _pattern(node: Assign, value: Code, scope: Scope) -> Code:
    """Compile (a;b):v and other patterns; nothing is stored unless all of it matches."""
    from tickloop.analytics.q.taking_apart import Stores, compile_pattern, keep

    if node.verb is not None:
        raise QError("assign", "a pattern takes a plain assignment", node.position)
    match = compile_pattern(node.target, placer(node, scope), scope, node.position)

    def assign(frame: Frame) -> Value:
        stores: Stores = []
        new = match(frame, value(frame), stores)
        keep(frame, stores)
        return new

    return assign


def placer(node: Node, scope: Scope) -> Callable[[Node], Store]:
    """Give what makes the store of a name, or of an indexed place, of a pattern."""

    def place(target: Node) -> Store:
        plain = Assign(target, None, target, False, node.position)
        return _placed(target, node if isinstance(node, Assign) else plain, scope)

    return place


def _placed(target: Node, node: Assign, scope: Scope) -> Store:
    """Assign a pattern's item to a name or to an indexed place."""
    from tickloop.analytics.q.evaluator import compile_node, from_right

    session = scope.session
    name, path = place_of(target)
    store = _store(name, node, scope)
    if path is None:
        return store
    old = compile_node(name, scope)
    codes = [compile_node(part or Constant(NIL, node.position), scope) for part in path]

    def put(frame: Frame, value: Value) -> None:
        indexes = from_right(codes, frame)
        store(frame, amend_at_depth(session, old(frame), indexes, None, value))

    return put
