import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Arrays;
import java.util.List;

/** Transactions, savepoints, autosave, batches and portals. */
final class Transactions {
    private static final String COUNT = "select count(*) from pgjdbc_t where note = ?";
    private static final String INSERT = "insert into pgjdbc_t (id, note) values (?, ?)";

    private Transactions() {}

    static void checks(Report report) {
        report.check("commit and rollback", Transactions::commitAndRollback);
        report.check("isolation and read only", Transactions::isolation);
        report.check("savepoints", Transactions::savepoints);
        for (String mode : List.of("extended", "simple")) {
            report.check("an error in a transaction, " + mode, () -> errorInTransaction(mode));
            report.check("autosave=always, " + mode, () -> autosave(mode));
            report.check("batch, " + mode, () -> batch("preferQueryMode=" + mode));
        }
        report.check("autosave=conservative heals a changed table", Transactions::conservative);
        report.check("batch, rewritten", () -> batch("reWriteBatchedInserts=true"));
        report.check("batch, named", () -> batch("prepareThreshold=1"));
        report.check("batch of different statements", Transactions::mixedBatch);
        report.check("batch with an error, auto-commit", () -> brokenBatch(true));
        report.check("batch with an error, transaction", () -> brokenBatch(false));
        report.check("fetch size", Transactions::fetchSize);
        report.check("two portals at once", Transactions::twoPortals);
        report.check("fetch size without a transaction", Transactions::fetchSizeOutside);
        report.check("cursor of a function", Transactions::refcursor);
        report.check("updatable rows", Transactions::updatable);
    }

    private static void commitAndRollback() throws Exception {
        Report.needs(2);
        try (Connection c = Server.connect(); Connection other = Server.connect()) {
            c.setAutoCommit(false);
            Server.run(c, "insert into pgjdbc_t (note) values ('rolled back')");
            Report.equal(List.of("0"), Server.column(other, COUNT, "rolled back"));
            c.rollback();
            Report.equal(List.of("0"), Server.column(c, COUNT, "rolled back"));
            c.commit();
            Server.run(c, "insert into pgjdbc_t (note) values ('kept')");
            Report.equal(List.of("1"), Server.column(c, COUNT, "kept"));
            c.commit();
            c.commit();
            c.setAutoCommit(true);
            Report.equal(List.of("1"), Server.column(other, COUNT, "kept"));
            Server.run(c, "delete from pgjdbc_t");
        }
    }

    private static void isolation() throws Exception {
        Report.needs(2);
        try (Connection c = Server.connect(); Connection other = Server.connect()) {
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            c.setAutoCommit(false);
            Report.equal(List.of("serializable"), Server.column(c, "show transaction_isolation"));
            Report.equal(List.of("0"), Server.column(c, "select count(*) from pgjdbc_t"));
            Server.run(other, "insert into pgjdbc_t (note) values ('unseen')");
            Report.equal(List.of("0"), Server.column(c, "select count(*) from pgjdbc_t"));
            c.rollback();
            Report.equal(List.of("1"), Server.column(c, "select count(*) from pgjdbc_t"));
            c.rollback();
            c.setReadOnly(true);
            Server.fails("25006", () -> Server.run(c, "delete from pgjdbc_t"));
            c.rollback();
            c.setReadOnly(false);
            c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            Server.run(c, "delete from pgjdbc_t");
            c.commit();
        }
        try (Connection c = Server.connect("readOnly=true", "readOnlyMode=always")) {
            Server.fails("25006", () -> Server.run(c, "delete from pgjdbc_t"));
        }
    }

    private static void savepoints() throws Exception {
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            Server.run(c, "insert into pgjdbc_t (note) values ('outer')");
            Savepoint point = c.setSavepoint("with space");
            Server.run(c, "insert into pgjdbc_t (note) values ('inner')");
            Savepoint inner = c.setSavepoint();
            Server.fails("22012", () -> Server.run(c, "select 1 / 0"));
            c.rollback(inner);
            Report.equal(List.of("1"), Server.column(c, COUNT, "inner"));
            c.rollback(point);
            Server.run(c, "insert into pgjdbc_t (note) values ('after')");
            c.releaseSavepoint(point);
            c.commit();
            Report.equal(List.of("after", "outer"), Server.column(c, "select note from pgjdbc_t order by 1"));
            Server.run(c, "delete from pgjdbc_t");
            c.commit();
        }
    }

    private static void errorInTransaction(String mode) throws Exception {
        try (Connection c = Server.connect("preferQueryMode=" + mode)) {
            c.setAutoCommit(false);
            Server.run(c, "insert into pgjdbc_t (note) values ('lost')");
            Server.fails("42P01", () -> Server.run(c, "select * from pgjdbc_nowhere"));
            Server.fails("25P02", () -> Server.run(c, "select 1"));
            c.commit(); // which the server answers with ROLLBACK
            Report.equal(List.of("0"), Server.column(c, COUNT, "lost"));
        }
    }

    private static void autosave(String mode) throws Exception {
        try (Connection c = Server.connect("autosave=always", "preferQueryMode=" + mode)) {
            c.setAutoCommit(false);
            for (int round = 0; round < 8; round++) {
                String note = "autosave " + round;
                try (PreparedStatement p = c.prepareStatement("insert into pgjdbc_t (note) values (?)")) {
                    p.setString(1, note);
                    Report.equal(1, p.executeUpdate());
                }
                Server.fails("22012", () -> Server.column(c, "select 1 / ?", 0));
                Report.equal(List.of("1"), Server.column(c, COUNT, note));
            }
            c.commit();
            Report.equal(List.of("8"), Server.column(c, "select count(*) from pgjdbc_t"));
            Server.run(c, "delete from pgjdbc_t");
            c.commit();
        }
    }

    private static void conservative() throws Exception {
        try (Connection c = Server.connect("autosave=conservative", "prepareThreshold=1"); Connection other = Server.connect()) {
            Server.run(other, "drop table if exists pgjdbc_change");
            Server.run(other, "create table pgjdbc_change as select 1 as a");
            c.setAutoCommit(false);
            try (PreparedStatement p = c.prepareStatement("select * from pgjdbc_change")) {
                p.executeQuery();
                c.commit();
                Server.run(other, "alter table pgjdbc_change add column b int");
                Server.column(c, "select 1");
                Report.equal(2, p.executeQuery().getMetaData().getColumnCount());
            }
            c.commit();
            Server.run(other, "drop table pgjdbc_change");
        }
    }

    private static void batch(String mode) throws Exception {
        try (Connection c = Server.connect(mode)) {
            for (boolean auto : new boolean[] {true, false}) {
                c.setAutoCommit(auto);
                try (PreparedStatement p = c.prepareStatement(INSERT)) {
                    for (int i = 0; i < 1000; i++) {
                        p.setInt(1, i);
                        p.setString(2, i % 7 == 0 ? null : "batch '" + i);
                        p.addBatch();
                    }
                    Report.equal(1000, p.executeBatch().length);
                }
                Report.equal(List.of("143"), Server.column(c, "select count(*) from pgjdbc_t where note is null"));
                Report.equal(List.of("batch '999"), Server.column(c, "select note from pgjdbc_t where id = 999"));
                Server.run(c, "delete from pgjdbc_t");
            }
            c.commit();
        }
    }

    private static void mixedBatch() throws Exception {
        try (Connection c = Server.connect(); Statement s = c.createStatement()) {
            s.addBatch("insert into pgjdbc_t (id, note) values (1, 'a'), (2, 'b')");
            s.addBatch("update pgjdbc_t set note = 'c'");
            s.addBatch("create temp table pgjdbc_temporary (x int)");
            s.addBatch("drop table pgjdbc_temporary");
            s.addBatch("delete from pgjdbc_t where id = 1");
            Report.equal(new int[] {2, 2, 0, 0, 1}, s.executeBatch());
            Report.equal(List.of("c"), Server.column(c, "select note from pgjdbc_t"));
            Server.run(c, "delete from pgjdbc_t");
        }
    }

    /** The sixth of ten fails: nothing of the batch may stay, and the driver must count the failed ones. */
    private static void brokenBatch(boolean auto) throws Exception {
        try (Connection c = Server.connect()) {
            c.setAutoCommit(auto);
            try (PreparedStatement p = c.prepareStatement(INSERT)) {
                for (int i = 0; i < 10; i++) {
                    p.setInt(1, i == 5 ? 0 : i);
                    p.setString(2, "broken");
                    p.addBatch();
                }
                BatchUpdateException failure = (BatchUpdateException) Server.fails("23505", p::executeBatch);
                int[] failed = new int[10];
                Arrays.fill(failed, Statement.EXECUTE_FAILED);
                Report.equal(failed, failure.getUpdateCounts());
            }
            if (!auto) {
                c.rollback();
            }
            Report.equal(List.of("0"), Server.column(c, COUNT, "broken"));
        }
    }

    private static void fetchSize() throws Exception {
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            for (int round = 0; round < 7; round++) {
                try (PreparedStatement p = c.prepareStatement("select i from generate_series(1, ?) i")) {
                    p.setFetchSize(100);
                    p.setInt(1, 1050);
                    ResultSet rows = p.executeQuery();
                    for (int i = 1; i <= 1050; i++) {
                        Report.isTrue("row " + i, rows.next());
                        Report.equal(i, rows.getInt(1));
                        if (i == 150) {
                            Report.equal(List.of("between"), Server.column(c, "select 'between'"));
                        }
                    }
                    Report.isTrue("no more", !rows.next());
                }
            }
            c.commit();
        }
    }

    private static void twoPortals() throws Exception {
        try (Connection c = Server.connect("defaultRowFetchSize=10")) {
            c.setAutoCommit(false);
            try (Statement one = c.createStatement(); Statement two = c.createStatement()) {
                ResultSet odd = one.executeQuery("select 2 * i - 1 from generate_series(1, 100) i");
                ResultSet even = two.executeQuery("select 2 * i from generate_series(1, 100) i");
                for (int i = 1; i <= 100; i++) {
                    Report.isTrue("rows", odd.next() && even.next());
                    Report.equal(2 * i - 1, odd.getInt(1));
                    Report.equal(2 * i, even.getInt(1));
                }
                odd.close();
            }
            c.rollback();
        }
    }

    private static void fetchSizeOutside() throws Exception {
        try (Connection c = Server.connect("defaultRowFetchSize=10")) {
            Report.equal(500, Server.column(c, "select generate_series(1, 500)").size());
        }
    }

    private static void refcursor() throws Exception {
        try (Connection c = Server.connect()) {
            c.setAutoCommit(false);
            Server.run(c, "create function pgjdbc_open() returns refcursor language plpgsql as"
                    + " $$ declare r refcursor := 'two words'; begin open r for select generate_series(1, 300); return r; end $$");
            try (Statement s = c.createStatement()) {
                s.setFetchSize(50);
                ResultSet row = s.executeQuery("select pgjdbc_open()");
                row.next();
                Report.equal(300, Server.column((ResultSet) row.getObject(1)).size());
            }
            c.rollback();
        }
    }

    private static void updatable() throws Exception {
        try (Connection c = Server.connect()) {
            Server.run(c, "insert into pgjdbc_t (id, note) values (1, 'a'), (2, 'b')");
            try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
                ResultSet rows = s.executeQuery("select id, note from pgjdbc_t order by id");
                Report.isTrue("last", rows.last());
                rows.updateString(2, "changed");
                rows.updateRow();
                rows.refreshRow();
                Report.equal("changed", rows.getString(2));
                rows.moveToInsertRow();
                rows.updateInt(1, 3);
                rows.updateString(2, "inserted");
                rows.insertRow();
                rows.absolute(1);
                rows.deleteRow();
            }
            Report.equal(List.of("changed", "inserted"), Server.column(c, "select note from pgjdbc_t order by id"));
            Server.run(c, "delete from pgjdbc_t");
        }
    }
}
