import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Properties;

/** pgjdbc: it connects in each of its ways, and every method of DatabaseMetaData is called. */
final class Tour {
    private static final String URL = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
            + System.getenv("PGDATABASE");

    private Tour() {}

    private static Connection connect(String... options) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        for (String option : options) {
            String[] pair = option.split("=", 2);
            properties.setProperty(pair[0], pair[1]);
        }
        return DriverManager.getConnection(URL, properties);
    }

    /** Every method, by names and types: of one schema and table, and of all. */
    private static void everything(DatabaseMetaData meta, String schema, String table) throws Exception {
        Method[] methods = DatabaseMetaData.class.getMethods();
        Arrays.sort(methods, Comparator.comparing(Method::toString));
        for (Method method : methods) {
            int strings = 0;
            Object[] arguments = new Object[method.getParameterCount()];
            for (int i = 0; i < arguments.length; i++) {
                Class<?> type = method.getParameterTypes()[i];
                if (type == String.class) {
                    // Catalog, schema, name, and again for the other table of a foreign key; columns are all.
                    int place = strings++ % 3;
                    arguments[i] = strings == 4 && !method.getName().equals("getCrossReference") ? "%"
                            : place == 0 ? null : place == 1 ? schema : table;
                } else if (type == boolean.class) {
                    arguments[i] = false;
                } else if (type == int.class) {
                    arguments[i] = 1;
                }
            }
            try {
                Object found = method.invoke(meta, arguments);
                if (found instanceof ResultSet rows) {
                    rows.close();
                }
            } catch (InvocationTargetException refused) {
                System.err.println(method.getName() + ": " + refused.getCause());
            }
        }
    }

    private static void results(Connection connection) throws Exception {
        try (PreparedStatement p = connection.prepareStatement("select o.*, p.name from shop.orders o join shop.people p on p.id = ?")) {
            p.setInt(1, 1);
            ResultSetMetaData meta = p.getMetaData();
            for (int column = 1; column <= meta.getColumnCount(); column++) {
                meta.isAutoIncrement(column);
                meta.isNullable(column);
                meta.getTableName(column);
                meta.getColumnTypeName(column);
                meta.getColumnType(column);
                meta.getColumnClassName(column);
                meta.getPrecision(column);
            }
            p.getParameterMetaData().getParameterTypeName(1);
        }
        try (Statement s = connection.createStatement();
                ResultSet rows = s.executeQuery("select mood, tags, best, facts, more, token, home, reach from shop.people")) {
            while (rows.next()) {
                for (int column = 1; column <= 8; column++) {
                    rows.getObject(column);
                    rows.getMetaData().getColumnTypeName(column);
                }
            }
        }
        connection.createArrayOf("int4", new Object[] {1}).free();
        connection.createArrayOf("text", new Object[] {"a"}).free();
    }

    public static void main(String[] unused) throws Exception {
        try (Connection c = connect()) {
            System.out.println("version " + c.getMetaData().getDriverVersion());
            System.out.println("did connect in each of its ways, every method of DatabaseMetaData, columns of results, "
                    + "types of one's own, levels of isolation");
            for (String[] place : new String[][] {{"shop", "orders"}, {"shop", "people"}, {null, "%"}, {"pg_catalog", "pg_class"}, {null, null}}) {
                everything(c.getMetaData(), place[0], place[1]);
            }
            c.getMetaData().getTables(null, null, "%", new String[] {"TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FOREIGN TABLE"}).close();
            c.getMetaData().getUDTs(null, "shop", "%", new int[] {java.sql.Types.STRUCT, java.sql.Types.DISTINCT}).close();
            results(c);
            c.getSchema();
            c.getCatalog();
            c.setSchema("shop");
            c.getTransactionIsolation();
            c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            c.setReadOnly(true);
            c.setAutoCommit(false);
            c.isValid(1);
            results(c);
            c.rollback();
            c.setClientInfo("ApplicationName", "a tour");
        }
        for (String option : new String[] {"preferQueryMode=simple", "assumeMinServerVersion=15", "prepareThreshold=1", "readOnly=true",
            "currentSchema=shop", "targetServerType=primary", "autosave=always", "ApplicationName=DBeaver - Main"}) {
            try (Connection c = connect(option)) {
                c.setAutoCommit(false);
                everything(c.getMetaData(), "shop", "orders");
                results(c);
                c.commit();
            }
        }
    }
}
