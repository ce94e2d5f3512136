import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.postgresql.PGStatement;
import org.postgresql.util.PGobject;

/** What goes in and comes out: types, parameters, prepared statements, query modes, sizes. */
final class Values {
    private static final String EVERYTHING = "select ?::int2, ?::int4, ?::int8, ?::numeric, ?::float4, ?::float8, ?::bool,"
            + " ?::text, ?::bytea, ?::date, ?::time, ?::timestamptz, ?::uuid, ?::jsonb, ?::int4[], ?::text[], ?::text";

    private Values() {}

    static void createTables() throws Exception {
        try (Connection c = Server.connect()) {
            dropTables();
            Server.run(c, "create table pgjdbc_t (id serial primary key, note text, price numeric(10,2) default 0)");
            Server.run(c, "create table pgjdbc_child (t int references pgjdbc_t on delete cascade, at timestamptz)");
            Server.run(c, "create index pgjdbc_note on pgjdbc_t (note)");
            Server.run(c, "create function pgjdbc_twice(n int) returns int language sql immutable as 'select 2 * n'");
        }
    }

    static void dropTables() throws Exception {
        try (Connection c = Server.connect()) {
            Server.run(c, "drop table if exists pgjdbc_child, pgjdbc_t, pgjdbc_change");
            Server.run(c, "drop function if exists pgjdbc_twice(int)");
        }
    }

    static void checks(Report report) {
        for (String mode : List.of("prepareThreshold=5", "prepareThreshold=1", "prepareThreshold=-1",
                "prepareThreshold=0", "binaryTransfer=false", "preferQueryMode=extendedForPrepared",
                "preferQueryMode=extendedCacheEverything", "preferQueryMode=simple")) {
            report.check("types, " + mode, () -> types(mode));
        }
        report.check("nulls", Values::nulls);
        report.check("the 5th execution is named", Values::fifthExecution);
        report.check("many prepared statements", Values::manyPrepared);
        report.check("a prepared statement outlives a change of its table", Values::changedTable);
        report.check("unicode", Values::unicode);
        report.check("several statements in one text", Values::severalStatements);
        report.check("several statements in one text, simple", Values::severalSimple);
        report.check("empty statements", Values::empty);
        report.check("generated keys", Values::generatedKeys);
        report.check("large parameter and value", Values::large);
        report.check("many rows", Values::manyRows);
    }

    /** Eight times, so that the statement gets its name and its binary results on the way. */
    private static void types(String mode) throws Exception {
        // Simple mode writes values into the text, and can do so only with what it holds as text.
        boolean text = mode.endsWith("simple");
        byte[] bytes = {0, 1, '\'', '\\', 127, (byte) 128, (byte) 255};
        UUID uuid = UUID.fromString("00112233-4455-6677-8899-aabbccddeeff");
        OffsetDateTime at = OffsetDateTime.of(2024, 2, 29, 12, 34, 56, 789_000_000, ZoneOffset.UTC);
        PGobject json = new PGobject();
        json.setType("jsonb");
        json.setValue("{\"a\": [1, null, \"b\"]}");
        try (Connection c = Server.connect(mode); PreparedStatement p = c.prepareStatement(EVERYTHING)) {
            for (int round = 0; round < 8; round++) {
                Object[] in = {(short) -7, Integer.MIN_VALUE, Long.MAX_VALUE - round, new BigDecimal("12345678901234567890.0001"),
                    1.5f, Math.PI, true, "it's \\ \"quoted\" ? $1 " + round,
                    text ? "\\x0001275c7f80ff" : bytes, LocalDate.of(1999, 12, 31),
                    LocalTime.of(23, 59, 59), at, text ? uuid.toString() : uuid, json, c.createArrayOf("int4", new Integer[] {1, null, 3}),
                    c.createArrayOf("text", new String[] {"a,b", "\"", "", null}), ""};
                for (int i = 0; i < in.length; i++) {
                    p.setObject(i + 1, in[i]);
                }
                try (ResultSet row = p.executeQuery()) {
                    Report.isTrue("a row", row.next());
                    Report.equal(in[0], row.getShort(1));
                    for (int i = 1; i < 8; i++) {
                        Report.equal(in[i], row.getObject(i + 1));
                    }
                    Report.equal(bytes, row.getBytes(9));
                    Report.equal(in[9], row.getObject(10, LocalDate.class));
                    Report.equal(in[10], row.getObject(11, LocalTime.class));
                    Report.equal(at, row.getObject(12, OffsetDateTime.class));
                    Report.equal(uuid, row.getObject(13));
                    Report.equal(json.getValue(), row.getString(14));
                    Report.equal(new Integer[] {1, null, 3}, row.getArray(15).getArray());
                    Report.equal(new String[] {"a,b", "\"", "", null}, row.getArray(16).getArray());
                    Report.equal("", row.getString(17));
                }
            }
        }
    }

    private static void nulls() throws Exception {
        try (Connection c = Server.connect();
                PreparedStatement p = c.prepareStatement("select ?::int, ?::text, ?::bytea, ?::numeric, ?::timestamptz")) {
            for (int round = 0; round < 7; round++) {
                p.setNull(1, Types.INTEGER);
                p.setString(2, null);
                p.setBytes(3, null);
                p.setNull(4, Types.NUMERIC);
                p.setNull(5, Types.TIMESTAMP_WITH_TIMEZONE);
                try (ResultSet row = p.executeQuery()) {
                    row.next();
                    for (int i = 1; i <= 5; i++) {
                        Report.equal(null, row.getObject(i));
                    }
                    Report.equal(0, row.getInt(1));
                    Report.isTrue("wasNull", row.wasNull());
                }
            }
        }
    }

    private static void fifthExecution() throws Exception {
        try (Connection c = Server.connect(); PreparedStatement p = c.prepareStatement("select ?::int + 1")) {
            PGStatement statement = p.unwrap(PGStatement.class);
            for (int round = 1; round <= 12; round++) {
                p.setInt(1, round);
                Report.equal(round >= 5, statement.isUseServerPrepare());
                Report.equal(List.of(String.valueOf(round + 1)), Server.column(p.executeQuery()));
                if (round == 8) {
                    Report.equal(List.of("8"), Server.column(c, "select 8"));
                }
            }
        }
    }

    /** More than fit into the driver's cache, so that it closes some of them in between. */
    private static void manyPrepared() throws Exception {
        try (Connection c = Server.connect("prepareThreshold=1", "preparedStatementCacheQueries=16")) {
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < 60; i++) {
                    String sql = "select ?::int + " + i;
                    Report.equal(List.of(String.valueOf(i + round)), Server.column(c, sql, round));
                }
            }
        }
    }

    private static void changedTable() throws Exception {
        try (Connection c = Server.connect("prepareThreshold=1")) {
            Server.run(c, "drop table if exists pgjdbc_change");
            Server.run(c, "create table pgjdbc_change (a int)");
            Server.run(c, "insert into pgjdbc_change values (1)");
            try (PreparedStatement p = c.prepareStatement("select * from pgjdbc_change")) {
                Report.equal(1, p.executeQuery().getMetaData().getColumnCount());
                Server.run(c, "alter table pgjdbc_change add column b text default 'new'");
                ResultSet row = p.executeQuery();
                row.next();
                Report.equal("new", row.getString(2));
            }
            Server.run(c, "drop table pgjdbc_change");
        }
    }

    private static void unicode() throws Exception {
        String text = "žluťoučký 漢字 😀 \u200f\u0001 e\u0301";
        try (Connection c = Server.connect()) {
            Report.equal(List.of(text), Server.column(c, "select ?::text", text));
            Report.equal(List.of(text), Server.column(c, "select '" + text + "'"));
            try (Statement s = c.createStatement(); ResultSet row = s.executeQuery("select 1 as \"sloupec 漢 😀\"")) {
                Report.equal("sloupec 漢 😀", row.getMetaData().getColumnLabel(1));
            }
        }
    }

    private static void severalStatements() throws Exception {
        severalIn("preferQueryMode=extended");
    }

    private static void severalSimple() throws Exception {
        severalIn("preferQueryMode=simple");
    }

    private static void severalIn(String mode) throws Exception {
        try (Connection c = Server.connect(mode); Statement s = c.createStatement()) {
            Report.isTrue("rows first", s.execute("select 1; insert into pgjdbc_t (note) values ('of two'); select 2, 3"));
            Report.equal(List.of("1"), Server.column(s.getResultSet()));
            Report.isTrue("then a count", !s.getMoreResults());
            Report.equal(1, s.getUpdateCount());
            Report.isTrue("then rows", s.getMoreResults());
            Report.equal(List.of("2"), Server.column(s.getResultSet()));
            Server.fails("22012", () -> s.execute("delete from pgjdbc_t where note = 'of two'; select 1 / 0; select 4"));
            Report.equal(List.of("1"), Server.column(c, "select count(*) from pgjdbc_t where note = 'of two'"));
            Server.run(c, "delete from pgjdbc_t where note = 'of two'");
        }
    }

    private static void empty() throws Exception {
        for (String mode : List.of("preferQueryMode=extended", "preferQueryMode=simple")) {
            try (Connection c = Server.connect(mode)) {
                for (String text : List.of("", ";", "-- a remark", "/* ping */ ;")) {
                    Server.run(c, text);
                }
                Report.isTrue("valid", c.isValid(5));
            }
        }
    }

    private static void generatedKeys() throws Exception {
        String insert = "insert into pgjdbc_t (note, price) values (?, ?)";
        try (Connection c = Server.connect();
                PreparedStatement p = c.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS);
                PreparedStatement named = c.prepareStatement(insert, new String[] {"id", "price"})) {
            p.setString(1, "keys");
            p.setBigDecimal(2, new BigDecimal("1.25"));
            Report.equal(1, p.executeUpdate());
            ResultSet keys = p.getGeneratedKeys();
            Report.isTrue("a key", keys.next());
            Report.equal("keys", keys.getString("note"));
            for (int i = 0; i < 10; i++) {
                named.setString(1, "keys");
                named.setBigDecimal(2, new BigDecimal(i + ".50"));
                named.addBatch();
            }
            int[] counts = new int[10];
            Arrays.fill(counts, 1);
            Report.equal(counts, named.executeBatch());
            Report.equal(10, Server.column(named.getGeneratedKeys()).size());
            Server.run(c, "delete from pgjdbc_t where note = 'keys'");
        }
    }

    private static void large() throws Exception {
        byte[] bytes = "portcullis".repeat(400_000).getBytes(StandardCharsets.UTF_8);
        try (Connection c = Server.connect(); PreparedStatement p = c.prepareStatement("select ?::bytea, length(?::bytea)")) {
            p.setBytes(1, bytes);
            p.setBytes(2, bytes);
            ResultSet row = p.executeQuery();
            row.next();
            Report.equal(bytes, row.getBytes(1));
            Report.equal(bytes.length, row.getInt(2));
            Report.equal(30_000_000, Server.column(c, "select repeat('0123456789', 3000000)").get(0).length());
        }
    }

    private static void manyRows() throws Exception {
        try (Connection c = Server.connect()) {
            List<String> rows = Server.column(c, "select i || repeat('.', 50) from generate_series(1, 200000) i");
            Report.equal(200_000, rows.size());
            Report.isTrue("the last one", rows.get(199_999).startsWith("200000."));
        }
    }
}
