"""The Postgres wire: psql, psycopg, asyncpg, JDBC, SQLAlchemy and Grafana ask as of PostgreSQL."""
