"""Control words: `$[test;then;else]`, if, do, while."""

from collections.abc import Sequence

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.lambdas import Code, Frame, interruption
from tickloop.analytics.q.scope import Scope
from tickloop.analytics.q.syntax import Control, Node
from tickloop.analytics.q.values import NIL, Atom, QType, Value


def compile_control(node: Control, scope: Scope) -> Code:
    """Compile a control word with its brackets."""
    if node.word == "$":
        return _condition(node, scope)
    if node.word == ":":
        from tickloop.analytics.q.assignment import placer
        from tickloop.analytics.q.taking_apart import compile_cases

        return compile_cases(node.arguments, placer(node, scope), scope)
    if node.arguments == (None,):
        raise QError(node.word, f"{node.word}[test;do this] expected", node.position)
    test = _code(node.arguments[0], scope)
    body = [_code(part, scope) for part in node.arguments[1:]]
    made = {"if": _if, "do": _do, "while": _while}[node.word]
    return made(test, body, node, scope)


def _code(node: Node | None, scope: Scope) -> Code:
    from tickloop.analytics.q.evaluator import compile_node, nothing

    return nothing if node is None else compile_node(node, scope)


def truth(value: Value, position: int) -> bool:
    """Tell whether a test holds; only an atom that is a number can."""
    if isinstance(value, Atom) and value.type not in (QType.SYMBOL, QType.GUID):
        return bool(value.value)
    raise QError("type", "a test is one boolean or number", position)


def _condition(node: Control, scope: Scope) -> Code:
    codes = [_code(part, scope) for part in node.arguments]
    position = node.position
    pairs = list(zip(codes[::2], codes[1::2], strict=False))
    otherwise = codes[-1] if len(codes) % 2 else None
    if len(pairs) == 1 and otherwise is not None:
        (test, then), final = pairs[0], otherwise
        return lambda frame: (then if truth(test(frame), position) else final)(frame)

    def choose(frame: Frame) -> Value:
        for test, then in pairs:
            if truth(test(frame), position):
                return then(frame)
        return NIL if otherwise is None else otherwise(frame)

    return choose


def _if(test: Code, body: Sequence[Code], node: Control, scope: Scope) -> Code:
    position = node.position

    def run(frame: Frame) -> Value:
        if truth(test(frame), position):
            for statement in body:
                statement(frame)
        return NIL

    return run


def _do(test: Code, body: Sequence[Code], node: Control, scope: Scope) -> Code:
    session, position = scope.session, node.position

    def run(frame: Frame) -> Value:
        count = test(frame)
        if not isinstance(count, Atom) or not isinstance(count.value, int):
            raise QError("type", "do[n;...] needs a whole number", position)
        for _ in range(count.value):
            if session.interrupted:
                raise interruption()
            for statement in body:
                statement(frame)
        return NIL

    return run


def _while(test: Code, body: Sequence[Code], node: Control, scope: Scope) -> Code:
    session, position = scope.session, node.position

    def run(frame: Frame) -> Value:
        while truth(test(frame), position):
            if session.interrupted:
                raise interruption()
            for statement in body:
                statement(frame)
        return NIL

    return run
