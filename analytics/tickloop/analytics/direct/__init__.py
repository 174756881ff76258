"""Small SQL questions, answered from the mapped columns without DuckDB."""
