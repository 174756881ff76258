"""Files as read-only arrays: mapped, never copied, and without holding a descriptor each."""

import ctypes
import mmap
import os
import stat
import weakref
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError

Bytes = npt.NDArray[np.uint8]

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = (
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long
)  # fmt: skip
_LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


class Mapping:
    """The owner of one mapping; NumPy keeps it alive as the base of its views."""

    def __init__(self, fd: int, size: int) -> None:
        # mmap.mmap keeps a duplicate of the descriptor until it is closed; a database of
        # thousands of columns would run out of them.
        address = _LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        if address is None or address == _FAILED:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self.__array_interface__ = {
            "shape": (size,), "typestr": "|u1", "data": (address, True), "version": 3
        }  # fmt: skip
        weakref.finalize(self, _LIBC.munmap, address, size)


def map_fd(fd: int, size: int) -> Bytes:
    """Map the first `size` bytes of an open file; no page is read yet."""
    if size == 0:
        empty = np.empty(0, dtype=np.uint8)
        empty.flags.writeable = False
        return empty
    return np.asarray(Mapping(fd, size))


def open_at(name: Path | str, directory_fd: int | None = None) -> tuple[int, int]:
    """Open a regular file for reading and give (descriptor, size); StoreError if it is none."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory_fd)
    except (OSError, ValueError) as error:
        raise StoreError(f"{name}: cannot be opened: {error}") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise StoreError(f"{name}: a regular file expected, something else is there")
    return fd, status.st_size


def read_head(fd: int, length: int) -> bytes:
    """Read a file's first bytes without asking the system to read ahead into its values."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    head = os.pread(fd, length, 0)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_NORMAL)
    return head
