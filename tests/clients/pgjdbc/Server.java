import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/** The way to the server that libpq's variables name, and the short forms that the checks share. */
final class Server {
    private Server() {}

    /** Connects, with options of the driver such as {@code prepareThreshold=1}. */
    static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", variable("PGUSER", "postgres"));
        properties.setProperty("password", variable("PGPASSWORD", ""));
        properties.setProperty("sslmode", variable("PGSSLMODE", "prefer"));
        if (System.getenv("PGSSLROOTCERT") != null) {
            properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        }
        for (String option : options) {
            String[] pair = option.split("=", 2);
            properties.setProperty(pair[0], pair[1]);
        }
        String url = "jdbc:postgresql://" + variable("PGHOST", "localhost") + ":" + variable("PGPORT", "5432") + "/"
                + variable("PGDATABASE", "postgres");
        return DriverManager.getConnection(url, properties);
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** The first column of all rows, as text. */
    static List<String> column(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                statement.setObject(i + 1, parameters[i]);
            }
            return column(statement.executeQuery());
        }
    }

    static List<String> column(ResultSet rows) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) {
            values.add(rows.getString(1));
        }
        return values;
    }

    /** Expects a failure with this SQLSTATE. */
    static SQLException fails(String state, Report.Body body) throws Exception {
        try {
            body.run();
        } catch (SQLException failure) {
            if (!state.equals(failure.getSQLState())) {
                throw failure;
            }
            return failure;
        }
        throw new AssertionError("nothing failed, SQLSTATE " + state + " was expected");
    }

    private static String variable(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }
}
