import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** What is said besides rows: COPY, errors, notices, notifications, cancels, settings. */
final class Conversation {
    private static final int COPIED = 250_000;

    private Conversation() {}

    static void checks(Report report) {
        report.check("COPY both ways", Conversation::copy);
        report.check("COPY binary", Conversation::copyBinary);
        report.check("COPY in a transaction", Conversation::copyInTransaction);
        report.check("COPY that fails", Conversation::copyFails);
        report.check("COPY that the client breaks off", Conversation::copyCancelled);
        report.check("errors", Conversation::errors);
        report.check("notices", Conversation::notices);
        report.check("LISTEN and NOTIFY", Conversation::notifications);
        report.check("setQueryTimeout", Conversation::queryTimeout);
        report.check("cancel", Conversation::cancel);
        report.check("settings", Conversation::settings);
        report.check("temporary tables", Conversation::temporary);
        report.check("large objects", Conversation::largeObjects);
    }

    private static CopyManager copies(Connection c) throws SQLException {
        return c.unwrap(PGConnection.class).getCopyAPI();
    }

    private static String lines(int count) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < count; i++) {
            text.append(i).append('\t').append(i % 10 == 0 ? "\\N" : "a note with an \\\\ and 漢字 for line " + i).append('\n');
        }
        return text.toString();
    }

    private static void copy() throws Exception {
        String text = lines(COPIED);
        Report.isTrue("more than 10 MB", text.length() > 10_000_000);
        try (Connection c = Server.connect()) {
            Report.equal((long) COPIED, copies(c).copyIn("copy pgjdbc_t (id, note) from stdin", new StringReader(text), 65536));
            StringWriter back = new StringWriter();
            Report.equal((long) COPIED, copies(c).copyOut("copy (select id, note from pgjdbc_t order by id) to stdout", back));
            Report.isTrue("the same text comes back", text.contentEquals(back.getBuffer()));
            Report.equal(List.of("25000"), Server.column(c, "select count(*) from pgjdbc_t where note is null"));
            Server.run(c, "truncate pgjdbc_t cascade");
        }
    }

    private static void copyBinary() throws Exception {
        try (Connection c = Server.connect()) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            String from = "copy (select i, 'n' || i, i / 4.0 from generate_series(1, 5000) i) to stdout (format binary)";
            Report.equal(5000L, copies(c).copyOut(from, out));
            ByteArrayInputStream in = new ByteArrayInputStream(out.toByteArray());
            Report.equal(5000L, copies(c).copyIn("copy pgjdbc_t (id, note, price) from stdin (format binary)", in));
            Report.equal(List.of("12502500"), Server.column(c, "select sum(id) from pgjdbc_t"));
            Server.run(c, "truncate pgjdbc_t cascade");
        }
    }

    private static void copyInTransaction() throws Exception {
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            Report.equal(10L, copies(c).copyIn("copy pgjdbc_t (id, note) from stdin", new StringReader(lines(10))));
            c.rollback();
            Report.equal(List.of("0"), Server.column(c, "select count(*) from pgjdbc_t"));
        }
    }

    private static void copyFails() throws Exception {
        try (Connection c = Server.connect()) {
            String broken = lines(20_000) + "x\ty\n" + lines(20_000);
            Server.fails("22P02", () -> copies(c).copyIn("copy pgjdbc_t (id, note) from stdin", new StringReader(broken)));
            Server.fails("42P01", () -> copies(c).copyIn("copy pgjdbc_nowhere from stdin", new StringReader("1\n")));
            Report.equal(List.of("0"), Server.column(c, "select count(*) from pgjdbc_t"));
        }
    }

    private static void copyCancelled() throws Exception {
        try (Connection c = Server.connect()) {
            CopyIn copy = copies(c).copyIn("copy pgjdbc_t (id, note) from stdin");
            byte[] some = lines(100).getBytes(StandardCharsets.UTF_8);
            copy.writeToCopy(some, 0, some.length);
            copy.flushCopy();
            copy.cancelCopy();
            Report.equal(List.of("0"), Server.column(c, "select count(*) from pgjdbc_t"));
        }
    }

    private static void errors() throws Exception {
        try (Connection c = Server.connect()) {
            Server.run(c, "insert into pgjdbc_t (id) values (1)");
            PSQLException twice = (PSQLException) Server.fails("23505", () -> Server.run(c, "insert into pgjdbc_t (id) values (1)"));
            ServerErrorMessage message = twice.getServerErrorMessage();
            Report.equal("pgjdbc_t_pkey", message.getConstraint());
            Report.equal("pgjdbc_t", message.getTable());
            Report.equal("Key (id)=(1) already exists.", message.getDetail());
            PSQLException syntax = (PSQLException) Server.fails("42601", () -> Server.run(c, "select from where 漢"));
            Report.isTrue("a position", syntax.getServerErrorMessage().getPosition() > 0);
            Server.fails("42P01", () -> Server.column(c, "select * from pgjdbc_nowhere"));
            Server.fails("22P02", () -> Server.column(c, "select ?::text::int", "x"));
            Server.fails("P0001", () -> Server.run(c, "do $$ begin raise exception 'by hand'; end $$"));
            Report.equal(List.of("1"), Server.column(c, "select id from pgjdbc_t"));
            Server.run(c, "delete from pgjdbc_t");
        }
        Server.fails("28P01", () -> Server.connect("password=wrong"));
    }

    private static void notices() throws Exception {
        try (Connection c = Server.connect(); Statement s = c.createStatement()) {
            s.execute("do $$ begin raise notice 'first'; raise warning 'second' using errcode = '01ABC'; end $$");
            SQLWarning first = s.getWarnings();
            Report.equal("first", first.getMessage());
            Report.equal("00000", first.getSQLState());
            Report.equal("second", first.getNextWarning().getMessage());
            Report.equal("01ABC", first.getNextWarning().getSQLState());
            Report.equal(null, first.getNextWarning().getNextWarning());
        }
    }

    private static void notifications() throws Exception {
        Report.needs(2);
        try (Connection c = Server.connect(); Connection other = Server.connect()) {
            Server.run(c, "listen pgjdbc_channel");
            Server.run(other, "select pg_notify('pgjdbc_channel', 'with a payload 漢')");
            PGNotification[] heard = c.unwrap(PGConnection.class).getNotifications(10_000);
            Report.isTrue("one notification", heard != null && heard.length == 1);
            Report.equal("with a payload 漢", heard[0].getParameter());
            Server.run(c, "unlisten *");
        }
    }

    private static void queryTimeout() throws Exception {
        try (Connection c = Server.connect(); Statement s = c.createStatement()) {
            for (boolean auto : new boolean[] {true, false}) {
                c.setAutoCommit(auto);
                s.setQueryTimeout(1);
                Server.fails("57014", () -> s.execute("select pg_sleep(60)"));
                if (!auto) {
                    c.rollback();
                }
                Report.equal(List.of("1"), Server.column(c, "select 1"));
            }
        }
    }

    private static void cancel() throws Exception {
        try (Connection c = Server.connect(); Statement s = c.createStatement()) {
            CountDownLatch ended = new CountDownLatch(1);
            Thread other = new Thread(() -> cancelUntil(ended, s));
            other.start();
            Server.fails("57014", () -> s.execute("select pg_sleep(60)"));
            ended.countDown();
            other.join();
            Report.equal(List.of("1"), Server.column(c, "select 1"));
        }
    }

    /** Again and again: a cancel before the statement has begun is lost, with every server. */
    private static void cancelUntil(CountDownLatch ended, Statement statement) {
        try {
            while (!ended.await(100, TimeUnit.MILLISECONDS)) {
                statement.cancel();
            }
        } catch (InterruptedException | SQLException failure) {
            System.out.println("# " + failure);
        }
    }

    private static void settings() throws Exception {
        try (Connection c = Server.connect("currentSchema=pg_catalog,public", "ApplicationName=named by pgjdbc")) {
            Report.equal(List.of("named by pgjdbc"), Server.column(c, "show application_name"));
            Report.equal("pg_catalog", c.getSchema());
            c.setSchema("public");
            Report.equal("public", c.getSchema());
            c.setClientInfo("ApplicationName", "renamed");
            Report.equal(List.of("renamed"), Server.column(c, "select current_setting('application_name')"));
            Server.run(c, "set time zone 'Asia/Tokyo'");
            Report.equal(List.of("2024-01-01 09:00:00+09"), Server.column(c, "select ('2024-01-01 00:00Z'::timestamptz)::text"));
            Server.run(c, "set statement_timeout = '100ms'");
            Server.fails("57014", () -> Server.run(c, "select pg_sleep(60)"));
            Server.run(c, "reset statement_timeout");
            Server.run(c, "set extra_float_digits = 0");
            Report.equal(List.of("0.3"), Server.column(c, "select ((0.1::float8 + 0.2::float8))::text"));
        }
        try (Connection c = Server.connect("options=-c statement_timeout=100")) {
            Server.fails("57014", () -> Server.run(c, "select pg_sleep(60)"));
        }
    }

    private static void temporary() throws Exception {
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            Server.run(c, "create temp table pgjdbc_temp on commit drop as select 7 as n");
            Report.equal(List.of("7"), Server.column(c, "select n from pgjdbc_temp"));
            c.commit();
            Server.run(c, "create temp table pgjdbc_temp as select 8 as n");
            c.commit();
            Report.equal(List.of("8"), Server.column(c, "select n from pgjdbc_temp"));
        }
    }

    /** The driver's own way is FunctionCall, which the gate refuses: nobody could read what is asked. */
    private static void largeObjects() throws Exception {
        byte[] bytes = "portcullis".getBytes(StandardCharsets.UTF_8);
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            LargeObjectManager objects = c.unwrap(PGConnection.class).getLargeObjectAPI();
            long id = objects.createLO();
            try (LargeObject object = objects.open(id)) {
                object.write(bytes);
                object.seek(0);
                Report.equal(bytes, object.read(100));
            }
            c.rollback();
        } catch (PSQLException refused) {
            if (!"0A000".equals(refused.getSQLState())) {
                throw refused;
            }
            throw new Report.Skip(refused.getMessage());
        }
    }
}
