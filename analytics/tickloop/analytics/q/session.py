"""A q session: variables, namespaces, and text in, values or console text out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tickloop.analytics.q import standard
from tickloop.analytics.q.enumerations import assigned
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.evaluator import compile_function, compile_node
from tickloop.analytics.q.file_verbs import find_file, read_file, read_script, write_file
from tickloop.analytics.q.functions import apply
from tickloop.analytics.q.lambdas import Body, Code, Frame, ReturnSignal
from tickloop.analytics.q.lexer import tokens
from tickloop.analytics.q.names import Names
from tickloop.analytics.q.parser import parse
from tickloop.analytics.q.registry import BUILTINS, call
from tickloop.analytics.q.scope import Scope, qualified
from tickloop.analytics.q.scripts import statements_of
from tickloop.analytics.q.syntax import Assign, Block, Function, Name, Node
from tickloop.analytics.q.tree_evaluator import evaluate_tree
from tickloop.analytics.q.trees import function_value, to_tree
from tickloop.analytics.q.values import NIL, Lambda, Nil, Value, chars
from tickloop.analytics.q.views import View
from tickloop.analytics.q.words import RESERVED

Printer = Callable[[str], None]
# What runs, and whether the console stays silent about its value.
Statement = tuple[Code, bool]

# Texts that a session keeps compiled, and up to what length.
_KEPT = 256
_KEPT_CHARACTERS = 4096


class Session:
    """One user's q: evaluates text and parse trees over its own variables.

    A session is not for several threads at once; `interrupt` may be called from any.
    """

    def __init__(
        self,
        *,
        rows: int = 25,
        columns: int = 80,
        files: bool = False,
        database: Path | None = None,
        seed: int = 0,
    ) -> None:
        standard.load()
        self.rows = rows
        self.columns = columns
        self.precision = 7
        # What \\t was told. Nothing here calls .z.ts of itself: time is an argument.
        self.timer_ms = 0
        self.files = files
        self.directory = Path()
        self.handles: dict[int, Path] = {}
        self.environment: dict[str, str] = {}
        self.random = np.random.default_rng(seed)
        self.names = Names()
        self.namespace = ""
        self.calls = 0
        self.statements: list[str] = []
        self.interrupted = False
        self.printed: list[str] = []
        self._codes: dict[tuple[str, str], list[Statement]] = {}
        standard.prepare(self)
        if database is not None:
            standard.mount(self, database)

    # -- text -----------------------------------------------------------------------------------

    def show(self, text: str) -> str:
        """Evaluate text and give what the console prints; '' where q prints nothing."""
        self.printed.clear()
        value = self._run(text)
        if value is not None and not isinstance(value, Nil):
            try:
                self.printed.append(standard.shown(self, value))
            except RecursionError:
                raise QError("stack", "the value nests too deep to be printed") from None
        return "".join(self.printed)

    def eval(self, text: str) -> Value:
        """Evaluate text, of one line or a script; give the last value."""
        value = self._run(text, keep=True)
        return NIL if value is None else value

    def evaluate_text(self, text: str) -> Value:
        """Evaluate text for a verb that was given some."""
        value: Value = NIL
        for statement in statements_of(text):
            value = self._statement(statement, is_top=False)[0]
        return value

    def evaluate_tree(self, tree: Value) -> Value:
        """Evaluate a parse tree."""
        return evaluate_tree(self, tree)

    def _run(self, text: str, *, keep: bool = False) -> Value | None:
        """Run a text from the outside; None where the last statement is silent."""
        self.interrupted = False
        self.calls = 0
        value: Value = NIL
        is_silent = True
        for statement in statements_of(text):
            value, is_silent = self._statement(statement, is_top=True)
        return value if keep or not is_silent else None

    def _statement(self, text: str, *, is_top: bool) -> tuple[Value, bool]:
        self.statements.append(text)
        try:
            if text.startswith("\\"):
                value = call(self, "system", chars(text[1:]))
                return value, isinstance(value, Nil)
            return self._expressions(text, is_top=is_top)
        except ReturnSignal as returned:
            return returned.value, False
        except RecursionError:
            raise QError("stack", "expressions or calls nest too deep") from None
        except MemoryError:
            raise QError("wsfull", "the memory of this process does not suffice") from None
        except QError as error:
            error.frames.append((text, error.position))
            raise
        finally:
            self.statements.pop()

    def _expressions(self, text: str, *, is_top: bool) -> tuple[Value, bool]:
        value: Value = NIL
        is_silent = True
        for code, silent in self._compiled(text, is_top=is_top):
            value, is_silent = code([]), silent
        return value, is_silent

    def _compiled(self, text: str, *, is_top: bool) -> Iterable[Statement]:
        """Compile a text's statements; what is asked again and again is compiled once."""
        key = text, self.namespace
        known = self._codes.get(key)
        if known is not None:
            return known
        block = parse(text)
        statements = self._statements(block, text, is_top=is_top)
        if len(text) > _KEPT_CHARACTERS or any(map(_is_view, block.statements)):
            return statements
        if len(self._codes) >= _KEPT:
            self._codes.clear()
        kept = self._codes[key] = list(statements)
        return kept

    def _statements(self, block: Block, text: str, *, is_top: bool) -> Iterator[Statement]:
        scope = Scope(self, self.namespace, text=text)
        for number, node in enumerate(block.statements):
            if node is None:
                yield _nothing, True
            elif is_top and _is_view(node):
                assert isinstance(node, Assign)
                # A view takes the whole rest of its line.
                rest = (node.value, *block.statements[number + 1 :])
                self._define(node, rest, _uncommented(text)[node.position + 2 :].strip(), scope)
                yield _nothing, True
                return
            else:
                yield compile_node(node, scope), isinstance(node, Assign)

    def _define(
        self, node: Assign, rest: tuple[Node | None, ...], source: str, scope: Scope
    ) -> None:
        assert isinstance(node.target, Name)
        body = Block(rest, node.value.position)
        full = scope.global_name(node.target.name)
        if full in RESERVED:
            raise QError("assign", f"{full} is a word of the language", node.position)
        tree = to_tree(body, scope)
        depends = tuple(scope.global_name(name) for name in standard.dependencies(body))
        self.names.plain.pop(full, None)
        code = compile_node(body, scope)
        self.names.views[full] = View(self, source, tree, depends, code)

    # -- values ---------------------------------------------------------------------------------

    def apply(self, function: Value, arguments: Sequence[Value]) -> Value:
        """Apply a function, or index a list, dictionary or table."""
        return apply(self, function, arguments)

    def find(self, name: str) -> Value | None:
        """Give the value of a global, a view or a dotted path into one; None if there is none."""
        full = qualified(name, self.namespace)
        found = self.names.plain.get(full)
        if found is not None:
            return found
        view = self.names.views.get(full)
        if view is not None:
            return view.get()
        found = self.names.find(full)
        if found is not None:
            return found
        if name in BUILTINS:
            return BUILTINS[name]
        if name.startswith(":") and self.files:
            return find_file(self, name)
        return standard.dotted(self, full)

    def get(self, name: str) -> Value:
        """Read a global name; QError named by it if there is none."""
        found = self.find(name)
        if found is None:
            raise QError(name or "type", f"no variable has the name `{name}")
        return found

    def set(self, name: str, value: Value) -> None:
        """Write a global name."""
        if name.startswith(":"):
            write_file(self, name, value)
            return
        full = qualified(name, self.namespace)
        if "." in full[1:] and standard.set_dotted(self, full, value):
            return
        self.names.set(full, value)
        assigned(self, full, value)

    def forget(self, name: str) -> None:
        """Delete a global name; QError if there is none."""
        self.names.delete(qualified(name, self.namespace))

    def read_name(self, name: str) -> Value:
        """Read a variable, or a file if the session may read files."""
        return read_file(self, name) if name.startswith(":") else self.get(name)

    def write_name(self, name: str, value: Value) -> None:
        """Write a variable, or a file if the session may write files."""
        if name.startswith(":"):
            write_file(self, name, value)
        else:
            self.set(name, value)

    def load(self, path: str) -> None:
        """Run a script from a file."""
        namespace = self.namespace
        try:
            for statement in statements_of(read_script(self, path)):
                self._statement(statement, is_top=True)
        finally:
            self.namespace = namespace

    def reseed(self, seed: int) -> None:
        """Start the random numbers again."""
        self.random = np.random.default_rng(seed)

    def body_of(self, function: Lambda) -> Body:
        """Compile a lambda for this session."""
        block = parse(function.source)
        node = block.statements[0]
        if not isinstance(node, Function):
            raise QError("type", "the text is not a function")
        body = compile_function(node, Scope(self, function.namespace))
        object.__setattr__(function, "body", body)
        return body

    def function_of(self, source: str, namespace: str) -> Value:
        """Make a function of its text and the namespace it was written in."""
        node = parse(source).statements[0]
        if not isinstance(node, Function):
            raise QError("type", "the text is not a function")
        return function_value(node, Scope(self, namespace))

    def handle(self, handle: int, message: Value) -> Value:
        """Write to the console (1, 2) or evaluate here (0); other handles are refused."""
        return standard.handle(self, handle, message)

    def interrupt(self) -> None:
        """Stop the query that runs at its next call or loop; safe from other threads."""
        self.interrupted = True

    def write(self, text: str) -> None:
        """Add to what the console prints."""
        self.printed.append(text)

    def __getitem__(self, name: str) -> Value:
        return self.get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        from tickloop.analytics.q.convert import to_value

        self.set(name, to_value(value))


def _uncommented(text: str) -> str:
    """Give a line without the comment behind it."""
    return text[: tokens(text)[-2].end]


def _nothing(frame: Frame) -> Value:
    return NIL


def _is_view(node: Node | None) -> bool:
    return (
        isinstance(node, Assign)
        and node.is_global
        and node.verb is None
        and isinstance(node.target, Name)
    )
