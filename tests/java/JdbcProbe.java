// What a JDBC program and a database tool see of the server: one line for each thing looked at.

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.OffsetDateTime;
import java.util.Properties;

public final class JdbcProbe {
    private JdbcProbe() {}

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", arguments[1]);
        properties.setProperty("password", arguments[2]);
        try (Connection connection = DriverManager.getConnection(arguments[0], properties)) {
            look("metadata", () -> metadata(connection.getMetaData()));
            look("tables", () -> names(connection.getMetaData().getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME"));
            look("columns", () -> columns(connection.getMetaData().getColumns(null, "public", "trade", "%")));
            look("schemas", () -> names(connection.getMetaData().getSchemas(), "TABLE_SCHEM"));
            look("catalogs", () -> names(connection.getMetaData().getCatalogs(), "TABLE_CAT"));
            look("table types", () -> names(connection.getMetaData().getTableTypes(), "TABLE_TYPE"));
            look("type info", () -> names(connection.getMetaData().getTypeInfo(), "TYPE_NAME").contains("timestamptz") ? "has timestamptz" : "lacks timestamptz");
            look("primary keys", () -> names(connection.getMetaData().getPrimaryKeys(null, "public", "trade"), "COLUMN_NAME"));
            look("imported keys", () -> names(connection.getMetaData().getImportedKeys(null, "public", "trade"), "FKCOLUMN_NAME"));
            look("indexes", () -> names(connection.getMetaData().getIndexInfo(null, "public", "trade", false, false), "INDEX_NAME"));
            look("privileges", () -> names(connection.getMetaData().getTablePrivileges(null, "public", "trade"), "PRIVILEGE"));
            look("functions", () -> names(connection.getMetaData().getFunctions(null, "public", "%"), "FUNCTION_NAME"));
            look("procedures", () -> names(connection.getMetaData().getProcedures(null, "public", "%"), "PROCEDURE_NAME"));
            look("keywords", () -> connection.getMetaData().getSQLKeywords().isEmpty() ? "none" : "some");
            look("best row", () -> names(connection.getMetaData().getBestRowIdentifier(null, "public", "trade", 0, true), "COLUMN_NAME"));
            look("user types", () -> names(connection.getMetaData().getUDTs(null, "public", "%", null), "TYPE_NAME"));
            look("prepared", () -> prepared(connection));
            look("types", () -> types(connection));
            look("fetch size", () -> fetchSize(connection));
            look("result metadata", () -> resultMetadata(connection));
            look("error", () -> error(connection));
            look("timeout", () -> timeout(connection));
            look("read only", () -> { connection.setReadOnly(true); connection.setReadOnly(false); return "" + connection.getTransactionIsolation(); });
            look("valid", () -> "" + connection.isValid(2));
        }
    }

    private interface Look {
        String at() throws Exception;
    }

    private static void look(String what, Look look) {
        String seen;
        try {
            seen = look.at();
        } catch (Exception error) {
            seen = "FAILED " + error;
        }
        System.out.println(what + ": " + seen.replace("\n", " "));
    }

    private static String metadata(DatabaseMetaData about) throws SQLException {
        return about.getDatabaseProductName() + " " + about.getDatabaseMajorVersion();
    }

    private static String names(ResultSet rows, String column) throws SQLException {
        StringBuilder names = new StringBuilder();
        while (rows.next()) {
            names.append(names.length() > 0 ? "," : "").append(rows.getString(column));
        }
        rows.close();
        return names.toString();
    }

    private static String columns(ResultSet rows) throws SQLException {
        StringBuilder names = new StringBuilder();
        while (rows.next()) {
            names.append(names.length() > 0 ? "," : "").append(rows.getString("COLUMN_NAME"))
                    .append(" ").append(rows.getString("TYPE_NAME")).append(" ").append(rows.getInt("DATA_TYPE"));
        }
        return names.toString();
    }

    private static String prepared(Connection connection) throws SQLException {
        String text = "SELECT count(*), max(price) FROM trade WHERE sym = ? AND price > ? AND time >= ? AND seq < ?";
        String seen = "";
        try (PreparedStatement statement = connection.prepareStatement(text)) {
            seen += statement.getParameterMetaData().getParameterTypeName(2) + " ";
            // The driver prepares on the server, and asks for binary values, from the fifth time on.
            for (int time = 0; time < 7; time++) {
                statement.setString(1, "AAA");
                statement.setDouble(2, 1.5);
                statement.setObject(3, OffsetDateTime.parse("2024-01-02T00:00:00Z"));
                statement.setLong(4, 100);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    seen += rows.getLong(1) + "/" + rows.getDouble(2) + " ";
                }
            }
        }
        return seen.trim();
    }

    private static String types(Connection connection) throws SQLException {
        String text = "SELECT time, venue_time, price, size, sym, date, seq, 1.25::numeric(8,2), true, time '10:11:12',"
                + " uuid '6ba7b810-9dad-11d1-80b4-00c04fd430c8', [1, 2], sum(seq) over () FROM trade ORDER BY seq LIMIT 1 OFFSET ?";
        String seen = "";
        try (PreparedStatement statement = connection.prepareStatement(text)) {
            for (int time = 0; time < 6; time++) {
                statement.setInt(1, 1);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    StringBuilder row = new StringBuilder();
                    row.append(rows.getObject(1, OffsetDateTime.class)).append(" ").append(rows.getTimestamp(2)).append(" ")
                            .append(rows.getDouble(3)).append(" ").append(rows.getObject(4)).append(" ").append(rows.getString(5))
                            .append(" ").append(rows.getDate(6)).append(" ").append(rows.getLong(7)).append(" ")
                            .append(rows.getBigDecimal(8)).append(" ").append(rows.getBoolean(9)).append(" ")
                            .append(rows.getObject(10, java.time.LocalTime.class)).append(" ").append(rows.getObject(11)).append(" ")
                            .append(((Integer[]) rows.getArray(12).getArray())[1]).append(" ").append(rows.getBigDecimal(13));
                    if (time > 0 && !seen.equals(row.toString())) {
                        return "text and binary differ: " + seen + " and " + row;
                    }
                    seen = row.toString();
                }
            }
        }
        return seen;
    }

    private static String fetchSize(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        int rows = 0;
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            try (ResultSet found = statement.executeQuery("SELECT seq FROM trade ORDER BY seq")) {
                while (found.next()) {
                    rows++;
                }
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
        return "" + rows;
    }

    private static String resultMetadata(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT sym, price FROM trade WHERE 1 = 0")) {
            ResultSetMetaData about = statement.getMetaData();
            return about.getColumnName(1) + " " + about.getColumnTypeName(1) + ", " + about.getColumnName(2) + " "
                    + about.getColumnTypeName(2) + " " + about.isNullable(2);
        }
    }

    private static String error(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("SELECT nothing FROM trade");
            return "no error";
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    private static String timeout(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.executeQuery("SELECT sum(a.range * b.range) FROM range(3000000) a, range(3000000) b");
            return "no error";
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }
}
