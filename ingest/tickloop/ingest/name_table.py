"""Names seen on a wire to small numbers, inside kernels; Python learns each new name once."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel, kernel

NAME_BYTES_MAX = 47
NAMES_MAX = 4096
_SLOTS = 4 * NAMES_MAX

Ints = npt.NDArray[np.int64]
Names = npt.NDArray[np.uint8]


@inline_kernel
def _byte(text: npt.NDArray[np.uint8], at: int, capitals: bool) -> int:
    byte = int(np.int64(text[at]))
    return byte - 32 if capitals and 97 <= byte <= 122 else byte


@inline_kernel
def _equal(
    text: npt.NDArray[np.uint8], at: int, size: int, capitals: bool, name: npt.NDArray[np.uint8]
) -> bool:
    if name[0] != size:
        return False
    for index in range(size):  # noqa: SIM110, a generator does not compile
        if name[index + 1] != _byte(text, at + index, capitals):
            return False
    return True


@inline_kernel
def intern(
    text: npt.NDArray[np.uint8],
    at: int,
    size: int,
    capitals: bool,
    names: Names,
    slots: Ints,
) -> int:
    """Give the number of a name, a new one if it was never seen; -1 if it does not fit.

    `names[number]` is a byte of length and the name; `slots` is an open-addressed table of
    numbers + 1 whose last element counts the names. `capitals` reads a to z as A to Z.
    """
    if size < 1 or size > NAME_BYTES_MAX:
        return -1
    mask = slots.shape[0] - 2
    digest = 0
    for index in range(size):
        digest = (digest * 33 + _byte(text, at + index, capitals)) & 0xFFFFFFF
    place = digest & mask
    while slots[place] != 0:
        number = slots[place] - 1
        if _equal(text, at, size, capitals, names[number]):
            return int(number)
        place = (place + 1) & mask
    count = slots[-1]
    if count >= names.shape[0]:
        return -1
    names[count, 0] = size
    for index in range(size):
        names[count, index + 1] = _byte(text, at + index, capitals)
    slots[place] = count + 1
    slots[-1] = count + 1
    return int(count)


@kernel("int64(uint8[::1], uint8[:, ::1], int64[::1])")
def _intern_text(text: npt.NDArray[np.uint8], names: Names, slots: Ints) -> int:
    return intern(text, 0, text.shape[0], False, names, slots)


class NameTable:
    """At most NAMES_MAX names of at most NAME_BYTES_MAX bytes, numbered as they came."""

    def __init__(self) -> None:
        self.names: Names = np.zeros((NAMES_MAX, NAME_BYTES_MAX + 1), dtype=np.uint8)
        self.slots: Ints = np.zeros(_SLOTS + 1, dtype=np.int64)

    def __len__(self) -> int:
        return int(self.slots[-1])

    def name(self, number: int) -> str:
        """Give a number's name; bytes that are not UTF-8 show as escapes."""
        size = int(self.names[number, 0])
        return bytes(self.names[number, 1 : 1 + size]).decode("utf-8", "backslashreplace")

    def number(self, name: str) -> int:
        """Give a name's number, as `intern` does inside kernels."""
        text = np.frombuffer(bytearray(name.encode()), dtype=np.uint8)
        return _intern_text(text, self.names, self.slots)
