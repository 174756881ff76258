"""Queries of many users over one database: worker processes, rights, usage, connections."""
