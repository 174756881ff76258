"""How deep q may nest. Python's own limit is raised once for the process, so that ours is first."""

import sys

# Expressions inside of expressions, in one text.
TEXT_MAX = 1_000
# Functions that call functions.
CALLS_MAX = 1_000
# A level of either costs a handful of Python's calls.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 30_000))
