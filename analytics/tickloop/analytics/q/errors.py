"""A q error: the name that q gives it, and the sentence that q never gives."""

from tickloop.core.errors import QueryError


class QError(QueryError):
    """An error in q text or its values: `name` is q's (`type`, `length`, `rank`, ...).

    `str()` starts with the name; the sentence says what was seen, what was expected, and what
    would work. `position` is the offset in the text where it happened, if that is known.
    """

    def __init__(self, name: str, sentence: str = "", position: int | None = None) -> None:
        super().__init__(f"{name}: {sentence}" if sentence else name)
        self.name = name
        self.sentence = sentence
        self.position = position
        # Where it happened, from the innermost function out: each text and the offset in it.
        self.frames: list[tuple[str, int | None]] = []
        # A signalled error belongs to the caller of the function that signalled it.
        self.is_signal = False


def type_error(sentence: str) -> QError:
    """Make a 'type error."""
    return QError("type", sentence)


def length_error(left: int, right: int) -> QError:
    """Make a 'length error of two lists that do not match."""
    return QError("length", f"lists of {left} and {right} items seen, equal counts needed")
