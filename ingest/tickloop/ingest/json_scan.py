"""JSON straight from bytes: steps that validate and never allocate, for kernels to compose.

Every step takes the text, where to begin and where the line ends, and returns where it stopped;
BAD means that the bytes are not JSON (RFC 8259). What the steps accept, Python's json accepts;
they refuse besides only nesting deeper than DEPTH_MAX. UTF-8 is not checked.
"""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel

Text = npt.NDArray[np.uint8]

BAD = -1
REFUSED = -1  # a decimal that is none, or that its unit cannot hold exactly
DEPTH_MAX = 60
TENTH_MAX = (2**63 - 10) // 10  # ten times this and 9 more still fits an int64

QUOTE_MARK, BACKSLASH, COMMA, COLON, DOT, MINUS, PLUS = 34, 92, 44, 58, 46, 45, 43
BRACE_OPEN, BRACE_CLOSE, BRACKET_OPEN, BRACKET_CLOSE = 123, 125, 91, 93
ZERO, NINE, SPACE = 48, 57, 32


@inline_kernel
def byte_at(text: Text, at: int) -> int:
    """Give a byte as an integer that arithmetic does not wrap."""
    return int(np.int64(text[at]))


@inline_kernel
def skip_space(text: Text, at: int, end: int) -> int:
    """Pass white space; the end of the line is an answer, not an error."""
    while at < end and (text[at] == SPACE or text[at] == 9 or text[at] == 13):
        at += 1
    return at


@inline_kernel
def skip_digits(text: Text, at: int, end: int) -> int:
    """Pass decimal digits; where none is, stay."""
    while at < end and text[at] >= ZERO and text[at] <= NINE:
        at += 1
    return at


@inline_kernel
def _is_hex(byte: int) -> bool:
    return (48 <= byte <= 57) or (65 <= byte <= 70) or (97 <= byte <= 102)


@inline_kernel
def _skip_escape(text: Text, at: int, end: int) -> int:
    if at >= end:
        return BAD
    byte = text[at]
    if byte == 117:  # u and four hexadecimal digits
        if at + 5 > end:
            return BAD
        for digit in range(at + 1, at + 5):
            if not _is_hex(byte_at(text, digit)):
                return BAD
        return at + 5
    for known in b'"\\/bfnrt':
        if byte == known:
            return at + 1
    return BAD


@inline_kernel
def skip_string(text: Text, at: int, end: int) -> int:
    """Pass a string whose opening quote is at `at`; control characters are refused."""
    if at >= end or text[at] != QUOTE_MARK:
        return BAD
    at += 1
    while at < end:
        byte = text[at]
        at += 1
        if byte == QUOTE_MARK:
            return at
        if byte == BACKSLASH:
            at = _skip_escape(text, at, end)
            if at < 0:
                return BAD
        elif byte < SPACE:
            return BAD
    return BAD


@inline_kernel
def _skip_fraction(text: Text, at: int, end: int) -> int:
    if at < end and text[at] == DOT:
        start = at + 1
        at = skip_digits(text, start, end)
        if at == start:
            return BAD
    if at < end and (text[at] == 101 or text[at] == 69):
        at += 1
        if at < end and (text[at] == PLUS or text[at] == MINUS):
            at += 1
        start = at
        at = skip_digits(text, start, end)
        if at == start:
            return BAD
    return at


@inline_kernel
def skip_number(text: Text, at: int, end: int) -> int:
    """Pass a number: no leading zeros, no bare point or sign."""
    if at < end and text[at] == MINUS:
        at += 1
    start = at
    at = skip_digits(text, start, end)
    if at == start or (text[start] == ZERO and at - start > 1):
        return BAD
    return _skip_fraction(text, at, end)


@inline_kernel
def same(text: Text, at: int, size: int, word: bytes) -> bool:
    """Tell whether `size` bytes at `at` are exactly `word`."""
    if size != len(word):
        return False
    for index in range(size):  # noqa: SIM110, a generator does not compile
        if text[at + index] != word[index]:
            return False
    return True


@inline_kernel
def _skip_word(text: Text, at: int, end: int) -> int:
    if end - at >= 4 and (same(text, at, 4, b"true") or same(text, at, 4, b"null")):
        return at + 4
    if end - at >= 5 and same(text, at, 5, b"false"):
        return at + 5
    return BAD


@inline_kernel
def _skip_scalar(text: Text, at: int, end: int) -> int:
    byte = text[at]
    if byte == QUOTE_MARK:
        return skip_string(text, at, end)
    if byte == MINUS or (byte >= ZERO and byte <= NINE):
        return skip_number(text, at, end)
    return _skip_word(text, at, end)


@inline_kernel
def skip_colon(text: Text, at: int, end: int) -> int:
    """Pass the colon after a key and the space around it; stop at the value."""
    at = skip_space(text, at, end)
    if at >= end or text[at] != COLON:
        return BAD
    at = skip_space(text, at + 1, end)
    return at if at < end else BAD


@inline_kernel
def _skip_key(text: Text, at: int, end: int) -> int:
    at = skip_string(text, skip_space(text, at, end), end)
    return at if at < 0 else skip_colon(text, at, end)


@inline_kernel
def _close(text: Text, at: int, end: int, shapes: int, depth: int) -> tuple[int, int, int]:
    # After a value: pass closing brackets and at most one comma, with the key that follows it.
    while depth > 0:
        at = skip_space(text, at, end)
        if at >= end:
            return BAD, shapes, depth
        if text[at] == COMMA:
            at += 1
            if shapes & 1:
                at = _skip_key(text, at, end)
            return at, shapes, depth
        if text[at] != (BRACE_CLOSE if shapes & 1 else BRACKET_CLOSE):
            return BAD, shapes, depth
        at += 1
        shapes >>= 1
        depth -= 1
    return at, shapes, depth


@inline_kernel
def skip_value(text: Text, at: int, end: int) -> int:
    """Pass one value of any kind, nested up to DEPTH_MAX; `shapes` holds a bit per container."""
    shapes = 0
    depth = 0
    while True:
        at = skip_space(text, at, end)
        if at >= end:
            return BAD
        byte = text[at]
        if byte in (BRACE_OPEN, BRACKET_OPEN):
            if depth == DEPTH_MAX:
                return BAD
            shapes = 2 * shapes + (1 if byte == BRACE_OPEN else 0)
            depth += 1
            at = skip_space(text, at + 1, end)
            empty = at < end and text[at] == byte + 2  # in ASCII both pairs are two apart
            if not empty:
                if shapes & 1:
                    at = _skip_key(text, at, end)
                if at < 0:
                    return BAD
                continue
        else:
            at = _skip_scalar(text, at, end)
        if at >= 0:
            at, shapes, depth = _close(text, at, end, shapes, depth)
        if at < 0 or depth == 0:
            return at


@inline_kernel
def integer(text: Text, at: int, stop: int) -> int:
    """Read the digits between two positions; REFUSED unless they are a whole number in range."""
    if at >= stop or stop - at > 19:
        return REFUSED
    value = 0
    for index in range(at, stop):
        byte = byte_at(text, index)
        if byte < ZERO or byte > NINE or value > TENTH_MAX:
            return REFUSED
        value = 10 * value + (byte - ZERO)
    return value


@inline_kernel
def _shifted(value: int, places: int) -> int:
    for _ in range(places):
        if value > TENTH_MAX:
            return REFUSED
        value *= 10
    return value


@inline_kernel
def decimal(text: Text, at: int, stop: int, places: int) -> int:
    """Read an unsigned decimal as a whole number of 10^-places.

    REFUSED unless it is digits with at most one point between them, has no digit but 0 past
    `places`, and fits an int64.
    """
    value = 0
    digits = 0
    past = -1
    for index in range(at, stop):
        byte = byte_at(text, index)
        if byte == DOT and past < 0 and digits > 0:
            past = 0
            continue
        if byte < ZERO or byte > NINE:
            return REFUSED
        digits += 1
        if past >= 0:
            past += 1
        if past > places:
            if byte != ZERO:
                return REFUSED
            continue
        if value > TENTH_MAX:
            return REFUSED
        value = 10 * value + (byte - ZERO)
    if digits == 0 or past == 0:
        return REFUSED
    return _shifted(value, places - max(past, 0))
