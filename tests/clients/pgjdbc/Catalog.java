import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;

/** DatabaseMetaData and its like: what DBeaver, DataGrip, Metabase and Hibernate read before anything else. */
final class Catalog {
    private Catalog() {}

    static void checks(Report report) {
        report.check("server and driver", Catalog::about);
        report.check("tables and columns", Catalog::tables);
        report.check("keys and indexes", Catalog::keys);
        report.check("the other catalogues", Catalog::others);
        report.check("columns of a result", Catalog::resultColumns);
        report.check("parameters of a statement", Catalog::parameters);
        report.check("function call", Catalog::call);
    }

    private static List<String> all(ResultSet rows, String... columns) throws SQLException {
        List<String> values = new ArrayList<>();
        try (rows) {
            while (rows.next()) {
                List<String> row = new ArrayList<>();
                for (String column : columns) {
                    row.add(rows.getString(column));
                }
                values.add(String.join(" ", row));
            }
        }
        return values;
    }

    private static void about() throws Exception {
        try (Connection c = Server.connect()) {
            DatabaseMetaData meta = c.getMetaData();
            Report.equal("PostgreSQL", meta.getDatabaseProductName());
            Report.equal(Server.column(c, "show server_version").get(0), meta.getDatabaseProductVersion());
            Report.equal(System.getenv("PGDATABASE"), c.getCatalog());
            Report.isTrue("a user name", !meta.getUserName().isEmpty());
            Report.isTrue("key words", meta.getSQLKeywords().length() > 100);
            Report.equal(63, meta.getMaxColumnNameLength());
            Report.equal(Connection.TRANSACTION_READ_COMMITTED, c.getTransactionIsolation());
        }
    }

    private static void tables() throws Exception {
        try (Connection c = Server.connect()) {
            DatabaseMetaData meta = c.getMetaData();
            Report.equal(List.of("pgjdbc_t"),
                    all(meta.getTables(null, "public", "pgjdbc\\__", new String[] {"TABLE"}), "TABLE_NAME"));
            Report.isTrue("everything", all(meta.getTables(null, null, "%", null), "TABLE_NAME").size() > 100);
            Report.equal(List.of("id serial 10 NO YES", "note text 2147483647 YES NO", "price numeric 10 YES NO"),
                    all(meta.getColumns(null, null, "pgjdbc_t", null), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE",
                            "IS_NULLABLE", "IS_AUTOINCREMENT"));
        }
    }

    private static void keys() throws Exception {
        try (Connection c = Server.connect()) {
            DatabaseMetaData meta = c.getMetaData();
            Report.equal(List.of("id pgjdbc_t_pkey"),
                    all(meta.getPrimaryKeys(null, null, "pgjdbc_t"), "COLUMN_NAME", "PK_NAME"));
            Report.equal(List.of("pgjdbc_t id t"),
                    all(meta.getImportedKeys(null, null, "pgjdbc_child"), "PKTABLE_NAME", "PKCOLUMN_NAME", "FKCOLUMN_NAME"));
            Report.equal(List.of("pgjdbc_child"), all(meta.getExportedKeys(null, null, "pgjdbc_t"), "FKTABLE_NAME"));
            Report.equal(List.of("pgjdbc_t_pkey f", "pgjdbc_note t"),
                    all(meta.getIndexInfo(null, null, "pgjdbc_t", false, true), "INDEX_NAME", "NON_UNIQUE"));
            Report.equal(List.of("id"), all(meta.getBestRowIdentifier(null, null, "pgjdbc_t", 0, false), "COLUMN_NAME"));
        }
    }

    private static void others() throws Exception {
        try (Connection c = Server.connect()) {
            DatabaseMetaData meta = c.getMetaData();
            Report.isTrue("schemas", all(meta.getSchemas(), "TABLE_SCHEM").containsAll(List.of("public", "pg_catalog")));
            Report.isTrue("catalogs", all(meta.getCatalogs(), "TABLE_CAT").contains(System.getenv("PGDATABASE")));
            Report.isTrue("types", all(meta.getTypeInfo(), "TYPE_NAME").size() > 50);
            Report.equal(List.of("pgjdbc_twice"), all(meta.getFunctions(null, null, "pgjdbc%"), "FUNCTION_NAME"));
            Report.equal(List.of("returnValue int4", "n int4"),
                    all(meta.getFunctionColumns(null, null, "pgjdbc%", null), "COLUMN_NAME", "TYPE_NAME"));
            Report.isTrue("own rights", all(meta.getTablePrivileges(null, null, "pgjdbc_t"), "PRIVILEGE").contains("INSERT"));
            all(meta.getColumnPrivileges(null, null, "pgjdbc_t", "%"), "PRIVILEGE");
            all(meta.getProcedures(null, null, "%"), "PROCEDURE_NAME");
            all(meta.getUDTs(null, null, "%", null), "TYPE_NAME");
            all(meta.getClientInfoProperties(), "NAME");
        }
    }

    private static void resultColumns() throws Exception {
        try (Connection c = Server.connect();
                PreparedStatement p = c.prepareStatement("select id as n, note, price * 2 as twice from pgjdbc_t where id = ?")) {
            ResultSetMetaData meta = p.getMetaData();
            Report.equal(3, meta.getColumnCount());
            Report.equal("serial", meta.getColumnTypeName(1));
            Report.isTrue("id counts itself", meta.isAutoIncrement(1));
            Report.equal("pgjdbc_t", meta.getTableName(2));
            Report.equal(ResultSetMetaData.columnNoNulls, meta.isNullable(1));
            Report.equal(Types.NUMERIC, meta.getColumnType(3));
        }
    }

    private static void parameters() throws Exception {
        try (Connection c = Server.connect(); PreparedStatement p = c.prepareStatement("insert into pgjdbc_t values (?, ?, ?)")) {
            Report.equal(3, p.getParameterMetaData().getParameterCount());
            Report.equal("int4", p.getParameterMetaData().getParameterTypeName(1));
            Report.equal("numeric", p.getParameterMetaData().getParameterTypeName(3));
        }
    }

    private static void call() throws Exception {
        try (Connection c = Server.connect(); CallableStatement call = c.prepareCall("{? = call pgjdbc_twice(?)}")) {
            call.registerOutParameter(1, Types.INTEGER);
            call.setInt(2, 21);
            call.execute();
            Report.equal(42, call.getInt(1));
        }
    }
}
