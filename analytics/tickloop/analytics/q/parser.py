"""From tokens to the syntax tree: right to left, no precedence, everything an expression."""

from collections.abc import Callable
from functools import lru_cache

from tickloop.analytics.q.depth import TEXT_MAX
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.lexer import Kind, Token, tokens
from tickloop.analytics.q.naming import (
    column_name,
    implicit_parameters,
    unique_names,
    unwrapped,
)
from tickloop.analytics.q.pattern_syntax import bare_key, check_pattern, is_place
from tickloop.analytics.q.syntax import (
    Apply,
    Assign,
    Block,
    Columns,
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
from tickloop.analytics.q.template_parser import parse_template
from tickloop.analytics.q.values import NIL, List, chars
from tickloop.analytics.q.words import CONTROL, INFIX, RESERVED, TEMPLATES

# What follows a colon that is a verb rather than a return.
_NO_RETURN = (Kind.CLOSE, Kind.SEMICOLON, Kind.END, Kind.ITERATOR)
_NO_WORDS: frozenset[str] = frozenset()


# What clients ask again and again is parsed once; a syntax tree is never written to.
_KEPT = 512
_KEPT_CHARACTERS = 4096


def parse(text: str) -> Block:
    """Parse statements; QError with the place of the offending token."""
    return _parse_known(text) if len(text) <= _KEPT_CHARACTERS else _parse(text)


@lru_cache(maxsize=_KEPT)
def _parse_known(text: str) -> Block:
    return _parse(text)


def _parse(text: str) -> Block:
    parser = Parser(text)
    statements = parser.statements("")
    return Block(tuple(statements), 0)


class Parser:
    """A walk over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        # In the phrases of a template, commas and the words that follow end an expression.
        self.ends_at = _NO_WORDS
        self.comma_ends = False

    # -- tokens ---------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        """The token that is next."""
        return self._tokens[self._at]

    def advance(self) -> Token:
        """Take the next token."""
        token = self._tokens[self._at]
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def is_next(self, text: str, kind: Kind | None = None) -> bool:
        """Tell whether the next token is spelled like this (literals are never meant)."""
        token = self.token
        if token.kind is Kind.LITERAL:
            return False
        return token.text == text and (kind is None or token.kind is kind)

    def expect(self, text: str) -> Token:
        """Take the token that must come next."""
        if not self.is_next(text):
            raise self.unexpected(f"{text} expected")
        return self.advance()

    def unexpected(self, expected: str) -> QError:
        """Make the error of the next token."""
        token = self.token
        seen = f"{token.text!r} seen" if token.kind is not Kind.END else "the text ends"
        name = token.text if token.kind in (Kind.CLOSE, Kind.OPEN) else "parse"
        return QError(name, f"{seen}, {expected}", token.start)

    def nested(self, read: Callable[[], Node | None]) -> Node | None:
        """Read with clauses forgotten: brackets have commas of their own."""
        kept = self.ends_at, self.comma_ends
        self.ends_at, self.comma_ends = _NO_WORDS, False
        try:
            return read()
        finally:
            self.ends_at, self.comma_ends = kept

    # -- statements -----------------------------------------------------------------------------

    def statements(self, close: str) -> list[Node | None]:
        """Read expressions between semicolons up to a closing bracket or the end."""
        found: list[Node | None] = []
        while True:
            found.append(self.nested(self.optional))
            if self.is_next(";", Kind.SEMICOLON):
                self.advance()
                continue
            if close:
                self.expect(close)
            elif self.token.kind is not Kind.END:
                raise self.unexpected("an expression ended here")
            return found

    def optional(self) -> Node | None:
        """Read an expression, or None where there is nothing."""
        return None if self._ends() else self.expression()

    def expression(self) -> Node:
        """Read one expression; QError 'limit if it nests too deep."""
        self._depth += 1
        if self._depth > TEXT_MAX:
            raise QError("limit", f"expressions nest {TEXT_MAX} deep at most", self.token.start)
        try:
            return self._expression()
        finally:
            self._depth -= 1

    def _ends(self) -> bool:
        return self._ends_before(self.token)

    def _ends_before(self, token: Token) -> bool:
        if token.kind in (Kind.END, Kind.CLOSE, Kind.SEMICOLON):
            return True
        if token.kind is Kind.NAME:
            return token.text in self.ends_at and not self._is_call()
        return self.comma_ends and token.kind is Kind.VERB and token.text == ","

    def _is_call(self) -> bool:
        """Tell `where[x]` and `where` as an argument of its own from the word of a template."""
        after = self._tokens[self._at + 1]
        return self.token.text == "where" and after.text == "[" and not after.spaced

    def _expression(self) -> Node:
        token = self.token
        if token.kind is Kind.VERB and token.text == ":":
            after = self._tokens[self._at + 1]
            if after.text != "[" and after.kind not in _NO_RETURN:
                self.advance()
                return Return(self.expression(), token.start)
        if token.kind is Kind.ITERATOR and token.text == "'" and self._signals():
            self.advance()
            return Signal(self.expression(), token.start)
        left = self.term()
        if self._ends():
            return left
        if not isinstance(left, Constant) and self._is_identity_train():
            return Train((left, Constant(NIL, self.advance().start)), left.position)
        if (assigned := self._assignment(left)) is not None:
            return assigned
        return self._rest(left)

    def _signals(self) -> bool:
        after = self._tokens[self._at + 1]
        return after.text != "[" and after.kind not in (
            Kind.CLOSE,
            Kind.SEMICOLON,
            Kind.END,
            Kind.ITERATOR,
        )

    def _rest(self, left: Node) -> Node:
        """Read what follows a first term: a verb and its right side, or an argument."""
        if _is_verb(left):
            return self._monadic(left)
        place = self._at
        token = self.token
        middle = self.term()
        if _is_verb(middle):
            if self._ends():
                return Train((_project(middle, left),), token.start)
            right = self.expression()
            if (rest := _composed(right)) is not None:
                return Train((_project(middle, left), *rest), token.start)
            return Apply(middle, (left, right), "infix", token.start)
        self._at = place
        left = _one_argument_form(left)
        argument = self.expression()
        if isinstance(argument, Train):
            return Train((left, *argument.functions), argument.position)
        return Apply(left, (argument,), "prefix", left.position)

    def _monadic(self, verb: Node) -> Node:
        """Read the argument of a verb that has none on its left."""
        if isinstance(verb, Verb) and verb.name not in RESERVED and not verb.name.endswith(":"):
            raise QError(
                verb.name,
                f"{verb.name} needs a value on its left; use its word (neg, count, first ...)"
                f" or brackets",
                verb.position,
            )
        argument = self.expression()
        if isinstance(argument, Train):
            return Train((verb, *argument.functions), argument.position)
        return Apply(verb, (argument,), "prefix", verb.position)

    def _assignment(self, left: Node) -> Node | None:
        token = self.token
        if token.kind is not Kind.VERB or not token.text.endswith(":"):
            return None
        if isinstance(left, Verb) and left.name in RESERVED and token.text in (":", "::"):
            raise QError("assign", f"{left.name} is a word of the language", token.start)
        if not _is_target(left) and not self._is_pattern(left):
            return None
        text = token.text
        if text in ("0:", "1:", "2:"):
            return None
        self.advance()
        if self._ends():
            self._at -= 1
            return None
        verb = text.rstrip(":")
        value = self.expression()
        left = unwrapped(left)
        if not is_place(left):
            check_pattern(left)
        return Assign(
            left, Verb(verb, token.start) if verb else None, value, text.endswith("::"), token.start
        )

    def _is_identity_train(self) -> bool:
        """Tell `f ::`, a composition, from what goes on behind the colons."""
        after = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        return self.is_next("::", Kind.VERB) and self._ends_before(after)

    def _is_pattern(self, left: Node) -> bool:
        """Tell a pattern in parentheses, (1) or ([a;b]), from what has none."""
        if self._tokens[self._at - 1].text != ")" or self.token.text not in (":", "::"):
            return False
        try:
            check_pattern(unwrapped(left))
        except QError:
            return False
        return True

    # -- terms ----------------------------------------------------------------------------------

    def term(self) -> Node:
        """Read a noun or verb with the brackets and iterators that follow it."""
        token = self.token
        node = self._primary()
        while True:
            token = self.token
            if token.kind is Kind.OPEN and token.text == "[":
                arguments = self.arguments()
                node = _bracketed(node, arguments, token.start)
            elif token.kind is Kind.ITERATOR and not (token.spaced and token.text[0] == "\\"):
                self.advance()
                node = Derived(token.text, node, token.start)
            else:
                return node

    def arguments(self) -> tuple[Node | None, ...]:
        """Read [a;b;c]."""
        self.advance()
        return tuple(self.statements("]"))

    def _primary(self) -> Node:
        token = self.token
        if token.kind is Kind.LITERAL:
            self.advance()
            assert token.value is not None
            return Constant(token.value, token.start)
        if token.kind is Kind.NAME:
            return self._name()
        if token.kind is Kind.VERB:
            self.advance()
            if token.text == "::":
                return Constant(NIL, token.start)
            return Verb(token.text.replace("::", ":"), token.start)
        if token.kind is Kind.ITERATOR:
            self.advance()
            return Iterator(token.text, token.start)
        if token.kind is Kind.OPEN:
            return self._bracket()
        raise self.unexpected("an expression expected")

    def _name(self) -> Node:
        token = self.token
        word = token.text
        if word in TEMPLATES:
            return parse_template(self)
        self.advance()
        if word in CONTROL:
            if not self.is_next("["):
                raise self.unexpected(f"{word}[ expected")
            return Control(word, self.arguments(), token.start)
        if word == "csv":
            return Constant(chars(","), token.start)
        if word in RESERVED:
            return Verb(word, token.start)
        return Name(word, token.start)

    def _bracket(self) -> Node:
        token = self.token
        if token.text == "{":
            return self._lambda()
        if token.text == "[":
            return Block(self.arguments(), token.start)
        after = self._tokens[self._at + 1]
        if after.text == "[" and after.kind is Kind.OPEN:
            return self._table()
        self.advance()
        items = self.statements(")")
        if len(items) > 1:
            return ListOf(tuple(items), token.start)
        if items[0] is None:
            return Constant(List(()), token.start)
        return _parenthesised(items[0])

    def _table(self) -> Node:
        """Read ([keys] columns), ([] columns) or the dictionary ([a:1;b:2])."""
        start = self.advance().start
        self.advance()
        keys = self._columns("]")
        if self.is_next(")"):
            self.advance()
            return TableOf(keys, None, start)
        return TableOf(keys, self._columns(")"), start)

    def _columns(self, close: str) -> Columns:
        statements = self.statements(close)
        if statements == [None]:
            return ()
        named: list[tuple[str, Node]] = []
        for statement in statements:
            if statement is None:
                continue
            if (bare := bare_key(statement)) is not None:
                named.append((bare, Constant(NIL, statement.position)))
            elif isinstance(statement, Assign) and isinstance(statement.target, Name):
                named.append((statement.target.name, statement.value))
            else:
                named.append((column_name(statement), statement))
        return unique_names(named)

    # -- lambdas --------------------------------------------------------------------------------

    def _lambda(self) -> Node:
        start = self.advance().start
        parameters: tuple[str, ...] | None = None
        patterns: tuple[tuple[str, Node], ...] = ()
        if self.is_next("[", Kind.OPEN):
            parameters, patterns = self._parameters()
        statements = tuple(self.statements("}"))
        end = self._tokens[self._at - 1].end
        if parameters is None:
            parameters = implicit_parameters(statements)
        return Function(self.text[start:end], parameters, statements, patterns, start)

    def _parameters(self) -> tuple[tuple[str, ...], tuple[tuple[str, Node], ...]]:
        place = self.token.start
        names: list[str] = []
        patterns: list[tuple[str, Node]] = []
        items = self.arguments()
        for number, item in enumerate(items):
            if isinstance(item, Name):
                names.append(item.name)
            elif item is not None:
                _check_parameter(item, place)
                names.append(f".{number}")
                patterns.append((names[-1], item))
            elif len(items) > 1:
                names.append(f".{number}")
        if len(names) > 8:
            raise QError("params", f"{len(names)} parameters seen, 8 at most", place)
        if len(set(names)) < len(names):
            raise QError("params", "a parameter is named twice", place)
        return tuple(names), tuple(patterns)


def _composed(node: Node) -> tuple[Node, ...] | None:
    """Give the functions of what has no argument on its right: 0|+ is a composition."""
    if isinstance(node, Train):
        return node.functions
    if isinstance(node, Verb) and (node.name not in RESERVED or node.name in INFIX):
        return (node,)
    return None


def _is_verb(node: Node) -> bool:
    if isinstance(node, Verb):
        return node.name not in RESERVED or node.name in INFIX
    return isinstance(node, Derived)


def _is_target(node: Node) -> bool:
    """Tell a[i], (a i) and patterns of such from what nothing can be assigned to."""
    if isinstance(node, Block):
        inner = unwrapped(node)
        return isinstance(inner, Apply) and is_place(inner)
    return isinstance(node, Name | ListOf) or (isinstance(node, Apply) and is_place(node))


def _check_parameter(item: Node, place: int) -> None:
    try:
        check_pattern(item)
    except QError as error:
        raise QError("params", "parameters are names or patterns: {[a;b]a+b}", place) from error


def _one_argument_form(node: Node) -> Node:
    """Give `$:` for the operator of `($)42`: beside one argument, it is the one of one."""
    bare = unwrapped(node)
    if isinstance(bare, Verb) and bare.name not in RESERVED and not bare.name.endswith(":"):
        return Verb(bare.name + ":", bare.position)
    return node


def _project(verb: Node, left: Node) -> Node:
    return Apply(verb, (left,), "project", left.position)


def _bracketed(node: Node, arguments: tuple[Node | None, ...], position: int) -> Node:
    if isinstance(node, Verb) and node.name in ("$", ":") and len(arguments) > 2:
        return Control(node.name, arguments, node.position)
    if len(arguments) == 1 and arguments[0] is None:
        return Apply(node, (Constant(NIL, position),), "bracket", node.position)
    return Apply(node, arguments, "bracket", node.position)


def _parenthesised(node: Node) -> Node:
    """Make a noun of what stands in parentheses."""
    if isinstance(node, Verb | Derived | Name | Apply | Train | Assign | Template):
        return Block((node,), node.position)
    return node
