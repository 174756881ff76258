"""Operators: folds over the log that need NumPy and Numba and nothing else."""
