"""What lies on top of a transport: something that decodes framed messages into slices."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Slice


class MessageDecoder(Protocol):
    """Turns messages, given by offset and length in a buffer, into slices."""

    def decode(
        self,
        buffer: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        recv_times: npt.NDArray[np.int64],
    ) -> Iterable[Slice]:
        """Decode messages in order; what is returned does not refer to the arguments."""
        ...
