"""Where a fold over several tables is: the next row of each, and who comes first."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import inline_kernel

# The seq of a table without a further row, and the end of an interval that is not open.
NEVER = 2**63 - 1
# Why a fold stopped before the end: an array must grow, or what was made must be taken away.
GROW, FULL = -1, -2


@inline_kernel
def seq_at(seqs: npt.NDArray[np.int64], row: int) -> int:
    """Give the seq of a row; NEVER past the last one."""
    return int(seqs[row]) if row < seqs.shape[0] else NEVER
