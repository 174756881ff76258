"""The consoles of `tickloop q` and `tickloop sql`: history, completion, several lines, Ctrl-C."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickloop.core.errors import TickloopError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

_OPENING, _CLOSING = "([{", ")]}"
QUITS = frozenset({"\\\\", "\\q", "exit 0", "quit", "exit"})


def is_complete(text: str) -> bool:
    """Tell whether brackets and quotes of q text are closed."""
    depth = 0
    in_string = is_escaped = False
    for character in text:
        if in_string:
            in_string = is_escaped or character != '"'
            is_escaped = character == "\\" and not is_escaped
        elif character == '"':
            in_string, is_escaped = True, False
        else:
            depth += (character in _OPENING) - (character in _CLOSING)
    return depth <= 0 and not in_string


def is_statement(text: str) -> bool:
    """Tell whether SQL text ends with the semicolon that sends it, or is a command."""
    return text.rstrip().endswith(";") or text.strip() in QUITS or not text.strip()


def run_console(
    prompt: str,
    answer: Callable[[str], str],
    words: Callable[[], Iterable[str]],
    *,
    complete: Callable[[str], bool] = is_complete,
    interrupt: Callable[[], None] | None = None,
) -> None:
    """Read, answer and print until the end of input; an error is a line, not the end."""
    session = _session(prompt, words, complete)
    while True:
        try:
            text = session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if text.strip() in QUITS:
            return
        if text.strip():
            _answer(text, answer, interrupt)


def _answer(text: str, answer: Callable[[str], str], interrupt: Callable[[], None] | None) -> None:
    try:
        sys.stdout.write(answer(text))
    except TickloopError as error:
        print(f"'{error}")
    except KeyboardInterrupt:
        if interrupt is not None:
            interrupt()
        print("'stop: the question was interrupted")
    sys.stdout.flush()


def console_size() -> tuple[int, int]:
    """Give rows and columns of the terminal."""
    size = shutil.get_terminal_size()
    return max(size.lines, 10), max(size.columns, 10)


def _history(name: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(base) / "tickloop"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}_history"


def _session(
    prompt: str, words: Callable[[], Iterable[str]], complete: Callable[[str], bool]
) -> "PromptSession[str]":
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    history: History
    try:
        history = FileHistory(str(_history(prompt.strip("> )"))))
    except OSError:
        history = InMemoryHistory()
    return PromptSession(
        prompt, history=history, completer=_completer(words), multiline=True, key_bindings=keys,
        complete_while_typing=False, prompt_continuation=" " * len(prompt),
        enable_open_in_editor=True,
    )  # fmt: skip


def _completer(words: Callable[[], Iterable[str]]) -> Any:
    from prompt_toolkit.completion import Completer, DynamicCompleter, WordCompleter

    def current() -> Completer:
        try:
            return WordCompleter(sorted(words()))
        except TickloopError:
            return WordCompleter([])

    return DynamicCompleter(current)
