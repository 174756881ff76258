"""The memory of this process: .Q.w."""

import os
import resource

import numpy as np

from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.kinds import longs
from tickloop.analytics.q.registry import register
from tickloop.analytics.q.values import Dictionary, Value, symbols

_MEMORY = ("used", "heap", "peak", "wmax", "mmap", "mphy", "syms", "symw")


@register(".Q.w", rank=1)
def memory(_: Value) -> Value:
    """Give the memory of this process in bytes, and how many symbols there are."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss * 1024
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    names = INTERNED.names(np.arange(len(INTERNED)))
    letters = sum(len(name) + 1 for name in names)
    sizes = longs([peak, peak, peak, 0, 0, physical, len(names), letters])
    return Dictionary(symbols(_MEMORY), sizes)
