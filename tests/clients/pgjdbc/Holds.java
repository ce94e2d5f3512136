import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.List;
import org.postgresql.util.PSQLWarning;
import org.postgresql.util.ServerErrorMessage;

/** What a hold is to somebody at pgjdbc: a warning on the statement, then the result, or their own time-out. */
final class Holds {
    private static final String NOTES = "select note from held where note like ? order by id";

    private Holds() {}

    static void checks(Report report) {
        report.check("hold: approved", Holds::approved);
        report.check("hold: in a transaction", Holds::inTransaction);
        report.check("hold: own time-out", Holds::ownTimeout);
    }

    private static void approved() throws Exception {
        try (Connection c = Server.connect(); Statement s = c.createStatement()) {
            Process people = approver("pgjdbc approved");
            Report.equal(1, s.executeUpdate("insert into held values (101, 'pgjdbc approved')"));
            Report.equal(0, people.waitFor());
            SQLWarning warning = s.getWarnings();
            Report.isTrue("a warning", warning != null);
            ServerErrorMessage message = ((PSQLWarning) warning).getServerErrorMessage();
            System.out.println("sees: nothing, unless the program reads the statement's SQLWarning: "
                    + Report.line(message.toString()));
            Report.isTrue(warning.getMessage(), warning.getMessage().startsWith("held as ticket"));
            Report.equal(List.of("pgjdbc approved"), Server.column(c, NOTES, "pgjdbc approved"));
        }
        named();
    }

    /** With parameters, through a statement that has a name; each run is a request of its own. */
    private static void named() throws Exception {
        String insert = "insert into held values (?, ?) returning note /* pgjdbc named */";
        try (Connection c = Server.connect("prepareThreshold=1"); PreparedStatement p = c.prepareStatement(insert)) {
            for (int i = 0; i < 2; i++) {
                Process people = approver("pgjdbc named");
                p.setInt(1, 110 + i);
                p.setString(2, "pgjdbc named " + i);
                Report.equal(List.of("pgjdbc named " + i), Server.column(p.executeQuery()));
                Report.equal(0, people.waitFor());
            }
        }
    }

    private static void inTransaction() throws Exception {
        try (Connection c = Server.connect(); Statement s = c.createStatement()) {
            c.setAutoCommit(false);
            Process people = approver("pgjdbc first of a transaction");
            Report.equal(1, s.executeUpdate("insert into held values (102, 'pgjdbc tx') /* pgjdbc first of a transaction */"));
            Report.equal(0, people.waitFor());
            Report.equal(List.of("pgjdbc tx"), Server.column(c, NOTES, "pgjdbc tx"));
            people = approver("pgjdbc second of a transaction");
            Report.equal(1, s.executeUpdate("update held set note = 'pgjdbc tx 2' where id = 102 /* pgjdbc second of a transaction */"));
            Report.equal(0, people.waitFor());
            c.commit();
        }
        try (Connection c = Server.connect()) {
            Report.equal(List.of("pgjdbc tx 2"), Server.column(c, NOTES, "pgjdbc tx%"));
        }
    }

    /** The driver cancels by itself when the time is up. */
    private static void ownTimeout() throws Exception {
        try (Connection c = Server.connect(); Statement s = c.createStatement()) {
            s.setQueryTimeout(2);
            SQLException failure = Server.fails("57014", () -> s.executeUpdate("insert into held values (103, 'pgjdbc too late')"));
            System.out.println("# " + Report.line(failure.getMessage()));
            Report.equal("withdrawn", state("pgjdbc too late"));
            Report.equal(List.of(), Server.column(c, NOTES, "pgjdbc too late"));
        }
    }

    /** Somebody who waits for the ticket and signs. */
    private static Process approver(String marker) throws Exception {
        return new ProcessBuilder(System.getenv("APPROVE"), marker)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    /** The state of the ticket, once it is withdrawn, or else in the end. */
    private static String state(String marker) throws Exception {
        Process process = new ProcessBuilder(System.getenv("TICKET_STATE"), marker, "withdrawn").start();
        String state = new String(process.getInputStream().readAllBytes()).trim();
        Report.equal(0, process.waitFor());
        return state;
    }
}
