// What goes in and comes out: types in each mode, prepared statements, batches, sizes.
package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgconn/stmtcache"
	"github.com/jackc/pgx/v4"
)

// modes are pgx's ways to run a text with parameters.
var modes = []struct {
	name   string
	change func(*pgx.ConnConfig)
}{
	{"cached statements", nil},
	{"a small cache", cache(stmtcache.ModePrepare, 3)},
	{"cached descriptions", cache(stmtcache.ModeDescribe, 100)},
	{"no cache", func(config *pgx.ConnConfig) { config.BuildStatementCache = nil }},
	{"simple protocol", func(config *pgx.ConnConfig) { config.PreferSimpleProtocol = true }},
}

func cache(mode, size int) func(*pgx.ConnConfig) {
	return func(config *pgx.ConnConfig) {
		config.BuildStatementCache = func(c *pgconn.PgConn) stmtcache.Cache {
			return stmtcache.New(c, mode, size)
		}
	}
}

func values() {
	for _, mode := range modes {
		change := mode.change
		check("types, "+mode.name, func() error { return with(change, types) })
		check("many texts, "+mode.name, func() error { return with(change, manyTexts) })
		check("batch, "+mode.name, func() error { return with(change, batch) })
		check("batch with an error, "+mode.name, func() error { return with(change, brokenBatch) })
	}
	check("prepared by name", func() error { return with(nil, prepared) })
	check("formats of results", func() error { return with(nil, formats) })
	check("several statements in one text", func() error { return with(nil, several) })
	check("many rows and large values", func() error { return with(nil, large) })
	check("rows left early", func() error { return with(nil, leftEarly) })
	check("a cached statement outlives a change of its table", func() error { return with(nil, changedTable) })
}

func types(c *pgx.Conn) error {
	at := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	text := "it's \\ \"quoted\" $1 žluťoučký 漢 😀 \x01"
	for range 8 {
		var small int16
		var large int64
		var float float64
		var yes bool
		var word, day string
		var bytes []byte
		var stamp time.Time
		var list []int32
		var null *string
		err := c.QueryRow(ctx, "select $1::int2, $2::int8, $3::float8, $4::bool, $5::text, $6::bytea, $7::timestamptz,"+
			" $8::int4[], $9::text, ($10::date)::text", -7, int64(-1<<62), 1.5e300, true, text, []byte{0, 39, 92, 255}, at,
			[]int32{1, -2, 3}, nil, "1999-12-31").Scan(&small, &large, &float, &yes, &word, &bytes, &stamp, &list, &null, &day)
		err = all(err, equal(small, int16(-7)), equal(large, int64(-1<<62)), equal(float, 1.5e300), equal(yes, true),
			equal(word, text), equal(bytes, []byte{0, 39, 92, 255}), equal(stamp.UTC(), at), equal(list, []int32{1, -2, 3}),
			equal(null, (*string)(nil)), equal(day, "1999-12-31"))
		if err != nil {
			return err
		}
	}
	return nil
}

// manyTexts are more than the small cache holds, so that it deallocates.
func manyTexts(c *pgx.Conn) error {
	for turn := range 4 {
		for number := range 10 {
			var sum int
			err := c.QueryRow(ctx, fmt.Sprintf("select $1::int + %d", number), turn).Scan(&sum)
			if err := all(err, equal(sum, turn+number)); err != nil {
				return err
			}
		}
	}
	return nil
}

func batch(c *pgx.Conn) error {
	queued := &pgx.Batch{}
	for number := range 200 {
		queued.Queue("insert into pgx_t values ($1, $2)", number, fmt.Sprint("note '", number))
		queued.Queue("select note from pgx_t where id = $1", number)
	}
	queued.Queue("delete from pgx_t")
	answers := c.SendBatch(ctx, queued)
	defer answers.Close()
	for number := range 200 {
		var note string
		_, err := answers.Exec()
		if err := all(err, answers.QueryRow().Scan(&note), equal(note, fmt.Sprint("note '", number))); err != nil {
			return err
		}
	}
	tag, err := answers.Exec()
	return all(err, equal(tag.RowsAffected(), int64(200)), answers.Close())
}

// brokenBatch is one implicit transaction, of which an error in the middle leaves nothing.
func brokenBatch(c *pgx.Conn) error {
	queued := &pgx.Batch{}
	for _, number := range []int{1, 2, 1, 3} {
		queued.Queue("insert into pgx_t values ($1, 'broken')", number)
	}
	answers := c.SendBatch(ctx, queued)
	_, first := answers.Exec()
	_, second := answers.Exec()
	_, third := answers.Exec()
	answers.Close()
	return all(first, second, fails("23505", third), count(c, 0))
}

func count(c *pgx.Conn, expected int) error {
	var seen int
	err := c.QueryRow(ctx, "select count(*) from pgx_t").Scan(&seen)
	return all(err, equal(seen, expected))
}

// fails expects an error of the server with this SQLSTATE.
func fails(state string, err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return equal(said.Code, state)
	}
	return fmt.Errorf("%s was expected, not %v", state, err)
}

func prepared(c *pgx.Conn) error {
	for range 3 {
		statement, err := c.Prepare(ctx, "by name", "select $1::int * 2 as twice")
		if err := all(err, equal(string(statement.Fields[0].Name), "twice")); err != nil {
			return err
		}
		for number := range 10 {
			var twice int
			err := c.QueryRow(ctx, "by name", number).Scan(&twice)
			if err := all(err, equal(twice, 2*number)); err != nil {
				return err
			}
		}
		if err := c.Deallocate(ctx, "by name"); err != nil {
			return err
		}
	}
	return nil
}

func formats(c *pgx.Conn) error {
	for format, expected := range map[int16]string{pgx.TextFormatCode: "258", pgx.BinaryFormatCode: "\x00\x00\x01\x02"} {
		rows, err := c.Query(ctx, "select 258::int4", pgx.QueryResultFormats{format})
		if err != nil {
			return err
		}
		rows.Next()
		seen := string(rows.RawValues()[0])
		rows.Close()
		if err := all(rows.Err(), equal(seen, expected)); err != nil {
			return err
		}
	}
	return nil
}

func several(c *pgx.Conn) error {
	results, err := c.PgConn().Exec(ctx, "select 1; insert into pgx_t values (1); select 2; delete from pgx_t").ReadAll()
	if err != nil {
		return err
	}
	tags := []string{}
	for _, result := range results {
		tags = append(tags, result.CommandTag.String())
	}
	_, broken := c.PgConn().Exec(ctx, "insert into pgx_t values (1); select 1 / 0").ReadAll()
	_, empty := c.PgConn().Exec(ctx, "-- ping").ReadAll()
	return all(equal(tags, []string{"SELECT 1", "INSERT 0 1", "SELECT 1", "DELETE 1"}), fails("22012", broken), empty, count(c, 0),
		run(c, ";"), c.Ping(ctx))
}

func large(c *pgx.Conn) error {
	rows, err := c.Query(ctx, "select i, repeat('x', 100) from generate_series(1, $1::int8) i", 200_000)
	if err != nil {
		return err
	}
	sum := int64(0)
	for rows.Next() {
		var number int64
		var text string
		if err := rows.Scan(&number, &text); err != nil {
			return err
		}
		sum += number
	}
	text, back := strings.Repeat("portcullis", 800_000), ""
	err = c.QueryRow(ctx, "select $1::text", text).Scan(&back)
	return all(rows.Err(), equal(sum, int64(20_000_100_000)), err, equal(back == text, true))
}

func leftEarly(c *pgx.Conn) error {
	rows, err := c.Query(ctx, "select generate_series(1, 100000)")
	if err != nil {
		return err
	}
	rows.Next()
	rows.Close()
	return all(rows.Err(), count(c, 0))
}

// changedTable: the server refuses the old shape once, and the cache then forgets it.
func changedTable(c *pgx.Conn) error {
	read := func() error {
		rows, err := c.Query(ctx, "select * from pgx_t")
		if err != nil {
			return err
		}
		rows.Close()
		return rows.Err()
	}
	err := all(read(), run(c, "alter table pgx_t add column more int"))
	return all(err, fails("0A000", read()), read(), run(c, "alter table pgx_t drop column more"))
}
