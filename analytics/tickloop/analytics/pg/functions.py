"""Functions that clients of PostgreSQL call, and those of the market, as DuckDB macros."""

from tickloop.analytics.pg.catalogue import DATABASE, OWNER, system_tables, system_types
from tickloop.analytics.pg.settings import VERSION
from tickloop.analytics.pg.tokens import literal

# Table functions that statements may name although they are not DuckDB's own.
TABLE_FUNCTIONS = ("pg_get_keywords", "tables", "table_columns", "pg_show_all_settings", "aclexplode", "pg_options_to_table", "pg_listening_channels")  # fmt: skip

_ALWAYS = {
    "true": (
        "pg_type_is_visible(o)", "pg_function_is_visible(o)",
        "pg_operator_is_visible(o)", "pg_opclass_is_visible(o)", "pg_collation_is_visible(o)",
        "pg_conversion_is_visible(o)", "pg_ts_dict_is_visible(o)", "pg_ts_config_is_visible(o)",
        "pg_statistics_obj_is_visible(o)",
    ),
    "false": (
        "pg_is_in_recovery()", "pg_is_other_temp_schema(o)", "pg_relation_is_publishable(o)",
        "pg_is_wal_replay_paused()", "row_security_active(o)",
    ),
    "NULL": (
        "pg_get_indexdef(a)", "pg_get_triggerdef(a)", "pg_get_ruledef(a)",
        "pg_get_functiondef(a)", "pg_get_function_result(a)", "pg_get_function_arguments(a)",
        "pg_get_function_identity_arguments(a)", "pg_get_function_sqlbody(a)",
        "pg_get_partkeydef(a)", "pg_get_partition_constraintdef(a)", "pg_get_statisticsobjdef(a)",
        "pg_get_statisticsobjdef_columns(a)", "pg_get_serial_sequence(a, b)", "inet_server_addr()",
        "inet_server_port()", "inet_client_addr()", "inet_client_port()", "pg_sequence_last_value(a)",
        "pg_advisory_unlock_all()", "pg_stat_get_numscans(a)", "pg_current_wal_lsn()",
        "pg_last_wal_replay_lsn()", "pg_last_xact_replay_timestamp()", "pg_tablespace_location(a)",
        "pg_stat_get_live_tuples(a)", "pg_stat_get_tuples_inserted(a)",
        "pg_indexam_has_property(a, b)", "pg_index_has_property(a, b)", "pg_get_replica_identity_index(a)",
        "pg_get_acl(a, b, c)", "array_ndims(a)", "pg_notify(a, b)", "pg_encoding_max_length(a)",
        "pg_relation_filenode(a)",
    ),
    "0": (
        "pg_my_temp_schema()", "pg_relation_size(a)", "pg_total_relation_size(a)",
        "pg_table_size(a)", "pg_indexes_size(a)", "pg_database_size(a)", "pg_tablespace_size(a)",
    ),
}  # fmt: skip
_PRIVILEGES = ("table", "column", "schema", "database", "function", "sequence", "any_column", "type", "language", "tablespace", "server", "foreign_data_wrapper")  # fmt: skip


def statements() -> list[str]:
    """Spell CREATE MACRO for every function."""
    made = [
        _macro(signature, value)
        for value, signatures in _ALWAYS.items()
        for signature in signatures
    ]
    for what in _PRIVILEGES:
        wide = ", (a, b, c, d) AS true" if what == "column" else ""
        made.append(_macro(f"has_{what}_privilege(a, b)", f"true, (a, b, c) AS true{wide}"))
    made += [_macro(signature, body) for signature, body in _about_names().items()]
    made += [_macro(signature, body) for signature, body in _ABOUT_SERVER.items()]
    made += [_macro(signature, body) for signature, body in _MARKET.items()]
    made += [f"CREATE OR REPLACE MACRO {signature} AS TABLE {body}" for signature, body in _TABLES.items()]  # fmt: skip
    return made


def _macro(signature: str, body: str) -> str:
    return f"CREATE OR REPLACE MACRO {signature} AS {body}"


def _format_type() -> str:
    arms = " ".join(
        f"WHEN {oid} THEN {literal(one.spelled)}" for oid, one in system_types().items()
    )
    numeric = (
        "'numeric(' || ((m - 4) // 65536)::VARCHAR || ',' || ((m - 4) % 65536)::VARCHAR || ')'"
    )
    return (
        f"CASE WHEN t IS NULL THEN NULL WHEN t = 1700 AND m > 4 THEN {numeric}"
        f" ELSE CASE t {arms} ELSE '???' END END"
    )


_LAST_NAME = "replace(list_last(string_split(n, '.')), '\"', '')"


def _about_names() -> dict[str, str]:
    as_number = "try_cast(n AS UINTEGER)"
    unseen = [one.oid for one in system_tables().values() if "." in one.name]
    return {
        "format_type(t, m)": _format_type(),
        "regclass_of_name(n)": f"coalesce({as_number}, (SELECT min(oid) FROM catalogue.pg_class WHERE relname = {_LAST_NAME}), error('relation \"' || n || '\" does not exist'))",
        "regclass_name(o)": "coalesce((SELECT min(relname) FROM catalogue.pg_class WHERE oid = try_cast(o AS UINTEGER)), o::VARCHAR)",
        "regtype_of_name(n)": f"coalesce({as_number}, (SELECT min(oid) FROM catalogue.pg_type WHERE typname = {_LAST_NAME} OR format_type(oid, NULL) = lower(n)), error('type \"' || n || '\" does not exist'))",
        "regtype_name(o)": "coalesce(nullif(format_type(try_cast(o AS UINTEGER), NULL), '???'), o::VARCHAR)",
        "regnamespace_of_name(n)": f"coalesce({as_number}, (SELECT min(oid) FROM catalogue.pg_namespace WHERE nspname = n))",
        "regnamespace_name(o)": "coalesce((SELECT min(nspname) FROM catalogue.pg_namespace WHERE oid = try_cast(o AS UINTEGER)), o::VARCHAR)",
        "regproc_name(n)": "list_last(string_split(n::VARCHAR, '.'))",
        "pg_table_is_visible(o)": f"NOT list_contains({unseen}, o)",
        "to_regclass(n)": f"(SELECT min(relname) FROM catalogue.pg_class WHERE relname = {_LAST_NAME})",
        "to_regtype(n)": f"(SELECT min(typname) FROM catalogue.pg_type WHERE typname = {_LAST_NAME} OR format_type(oid, NULL) = lower(n))",
        "obj_description(o)": "NULL, (o, c) AS (SELECT min(description) FROM catalogue.pg_description WHERE objoid = o AND objsubid = 0)",
        "col_description(o, n)": "(SELECT min(description) FROM catalogue.pg_description WHERE objoid = o AND objsubid = n)",
        "shobj_description(o, c)": "NULL::VARCHAR",
        "pg_get_userbyid(o)": f"CASE WHEN o = 10 THEN {literal(OWNER)} ELSE 'unknown (OID=' || o::VARCHAR || ')' END",
        "quote_ident(n)": "CASE WHEN regexp_full_match(n, '[a-z_][a-z0-9_$]*') THEN n ELSE '\"' || replace(n, '\"', '\"\"') || '\"' END",
        "quote_literal(n)": "'''' || replace(n::VARCHAR, '''', '''''') || ''''",
        "quote_nullable(n)": "coalesce('''' || replace(n::VARCHAR, '''', '''''') || '''', 'NULL')",
        "parse_ident(n)": "list_transform(string_split(n, '.'), lambda x: CASE WHEN starts_with(x, '\"') THEN trim(x, '\"') ELSE lower(x) END)",
    }


_ABOUT_SERVER = {
    "version()": literal(f"PostgreSQL {VERSION}"),
    "current_database()": literal(DATABASE),
    "current_schema()": "'public'",
    "current_schemas(implicit)": "CASE WHEN implicit THEN ['pg_catalog', 'public'] ELSE ['public'] END",
    "current_setting(n)": "(SELECT min(setting) FROM catalogue.pg_settings WHERE lower(name) = lower(n)), (n, missing) AS (SELECT min(setting) FROM catalogue.pg_settings WHERE lower(name) = lower(n))",
    "set_config(n, v, local)": "v",
    "pg_backend_pid()": "1",
    "pg_encoding_to_char(e)": "CASE WHEN e = 6 THEN 'UTF8' WHEN e = 0 THEN 'SQL_ASCII' ELSE '' END",
    "pg_char_to_encoding(n)": "CASE WHEN upper(replace(n, '-', '')) = 'UTF8' THEN 6 ELSE -1 END",
    "getdatabaseencoding()": "'UTF8'",
    "pg_client_encoding()": "'UTF8'",
    "pg_size_pretty(n)": "format_bytes(n::BIGINT)",
    "pg_postmaster_start_time()": "now()",
    "pg_conf_load_time()": "now()",
    "txid_current()": "1::BIGINT",
    "pg_current_xact_id()": "1::BIGINT",
    "pg_get_expr(a, b)": "NULL::VARCHAR, (a, b, c) AS NULL::VARCHAR",
    "pg_get_constraintdef(a)": "NULL::VARCHAR, (a, b) AS NULL::VARCHAR",
    "pg_get_viewdef(a)": "NULL::VARCHAR, (a, b) AS NULL::VARCHAR",
    "pg_get_indexdef(a, b, c)": "NULL::VARCHAR, (a) AS NULL::VARCHAR",
    "pg_get_triggerdef(a, b)": "NULL::VARCHAR, (a) AS NULL::VARCHAR",
    "array_lower(a, n)": "CASE WHEN len(a) > 0 THEN 1 END",
    "array_upper(a, n)": "nullif(len(a), 0)",
    "array_remove(a, v)": "list_filter(a, lambda x: x IS DISTINCT FROM v)",
    # One row would come for each column of an index, but no table has one.
    "_pg_expandarray(a)": "{'x': a[1], 'n': 1}",
    "date_bin(stride, source, origin)": "time_bucket(stride::INTERVAL, source, origin)",
    "pg_typeof(x)": "CASE typeof(x) WHEN 'DOUBLE' THEN 'double precision' WHEN 'FLOAT' THEN 'real' WHEN 'VARCHAR' THEN 'text' ELSE lower(typeof(x)) END",
    "clock_timestamp()": "now()",
    "statement_timestamp()": "now()",
    "timeofday()": "now()::VARCHAR",
}
_MARKET = {
    "vwap(price, size)": "sum(price * size) / nullif(sum(CASE WHEN price IS NOT NULL THEN size END), 0)",
    "mid(bid, ask)": "(bid + ask) / 2",
    "ohlc(price)": "{'open': first(price), 'high': max(price), 'low': min(price), 'close': last(price)}, (price, moment) AS {'open': arg_min(price, moment), 'high': max(price), 'low': min(price), 'close': arg_max(price, moment)}",
}
_TABLES = {
    "tables()": "FROM catalogue.questdb_tables",
    "table_columns(t)": "SELECT * EXCLUDE (table_name) FROM catalogue.questdb_columns WHERE table_name = t",
    "pg_get_keywords()": "SELECT keyword_name AS word, CASE keyword_category WHEN 'reserved' THEN 'R' ELSE 'U' END AS catcode FROM duckdb_keywords()",
    "pg_show_all_settings()": "FROM catalogue.pg_settings",
    "aclexplode(a)": "SELECT 0::BIGINT AS grantor, 0::BIGINT AS grantee, '' AS privilege_type, false AS is_grantable WHERE false",
    "pg_options_to_table(a)": "SELECT '' AS option_name, '' AS option_value WHERE false",
    "pg_listening_channels()": "SELECT '' AS pg_listening_channels WHERE false",
}
