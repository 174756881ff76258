"""The reserved words of q: which stand between their arguments, which before one."""

# Words that take one argument to their left and one to their right.
_INFIX = """
and asof bin binr cor cov cross cut div dsave each ema except fby ij ijf in insert inter like lj ljf
lsq mavg mcount mdev mmax mmin mmu mod msum or over peach pj prior rotate scan scov set setenv ss
sublist sv uj ujf union upsert vs wavg within wsum xasc xbar xcol xcols xdesc xexp xgroup xkey xlog
xprev xrank
"""
_PREFIX = """
abs acos aj aj0 ajf ajf0 all any asc asin atan attr avg avgs ceiling cols cos count deltas desc dev
differ distinct ej enlist eval exit exp fills first fkeys flip floor get getenv group gtime hclose
hcount hdel hopen hsym iasc idesc inv key keys last load log lower ltime ltrim max maxs md5 med meta
min mins neg next not null parse prd prds prev rand rank ratios raze read0 read1 reciprocal reval
reverse rload rsave rtrim save sdev show signum sin sqrt ssr string sum sums svar system tables tan
til trim type ungroup upper value var view views where wj wj1
"""
INFIX = frozenset(_INFIX.split())
PREFIX = frozenset(_PREFIX.split())
CONTROL = frozenset(("if", "do", "while"))
TEMPLATES = frozenset(("select", "exec", "update", "delete"))
RESERVED = INFIX | PREFIX | CONTROL | TEMPLATES | {"csv"}
