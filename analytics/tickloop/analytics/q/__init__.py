"""The q language over NumPy vectors: values, parser, evaluator, verbs, console."""
