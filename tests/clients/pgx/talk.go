// Transactions, COPY, errors, notices, notifications, deadlines, settings.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

func talk() {
	check("commit, rollback, nested", func() error { return with(nil, transactions) })
	check("isolation and read only", func() error { return with(nil, isolation) })
	check("an error in a transaction", func() error { return with(nil, errorInTransaction) })
	check("CopyFrom", func() error { return with(nil, copyFrom) })
	check("COPY both ways in text", func() error { return with(nil, copyText) })
	check("COPY that fails", func() error { return with(nil, copyFails) })
	check("errors", func() error { return with(nil, errorsSayAll) })
	check("notices", notices)
	check("LISTEN and NOTIFY", notifications)
	check("deadline of a context", deadline)
	check("cancel request", func() error { return with(nil, cancelRequest) })
	check("settings", settings)
}

func transactions(c *pgx.Conn) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	_, first := tx.Exec(ctx, "insert into pgx_t values ($1, 'outer')", 1)
	inner, err := tx.Begin(ctx)
	if err := all(first, err); err != nil {
		return err
	}
	_, second := inner.Exec(ctx, "insert into pgx_t values ($1, 'inner')", 2)
	_, broken := inner.Exec(ctx, "insert into pgx_t values ($1, 'inner')", 2)
	err = all(second, fails("23505", broken), inner.Rollback(ctx), tx.Commit(ctx), count(c, 1))
	undone := c.BeginFunc(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "delete from pgx_t")
		return all(err, io.ErrUnexpectedEOF)
	})
	return all(err, equal(undone, io.ErrUnexpectedEOF), count(c, 1), run(c, "delete from pgx_t"))
}

func isolation(c *pgx.Conn) error {
	options := pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly, DeferrableMode: pgx.Deferrable}
	tx, err := c.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	var level string
	err = tx.QueryRow(ctx, "show transaction_isolation").Scan(&level)
	_, refused := tx.Exec(ctx, "delete from pgx_t")
	return all(err, equal(level, "serializable"), fails("25006", refused), tx.Rollback(ctx), count(c, 0))
}

func errorInTransaction(c *pgx.Conn) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	_, nowhere := tx.Exec(ctx, "select * from pgx_nowhere")
	_, aborted := tx.Exec(ctx, "select 1")
	return all(fails("42P01", nowhere), fails("25P02", aborted), equal(tx.Commit(ctx), pgx.ErrTxCommitRollback), count(c, 0))
}

func copyFrom(c *pgx.Conn) error {
	source := pgx.CopyFromSlice(100_000, func(i int) ([]any, error) {
		if i%7 == 0 {
			return []any{i, nil}, nil
		}
		return []any{i, fmt.Sprint(strings.Repeat("a note of some length, 漢 ", 5), i)}, nil
	})
	copied, err := c.CopyFrom(ctx, pgx.Identifier{"pgx_t"}, []string{"id", "note"}, source)
	return all(err, equal(copied, int64(100_000)), count(c, 100_000), run(c, "truncate pgx_t"))
}

func copyText(c *pgx.Conn) error {
	var text, back bytes.Buffer
	for i := range 250_000 {
		fmt.Fprintf(&text, "%d\ta note with an \\\\ and 漢字 for line %d\n", i, i)
	}
	expected := text.Bytes()
	tag, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(expected), "copy pgx_t from stdin")
	err = all(err, equal(len(expected) > 10_000_000, true), equal(tag.RowsAffected(), int64(250_000)))
	_, out := c.PgConn().CopyTo(ctx, &back, "copy (select * from pgx_t order by id) to stdout")
	return all(err, out, equal(bytes.Equal(back.Bytes(), expected), true), run(c, "truncate pgx_t"))
}

func copyFails(c *pgx.Conn) error {
	broken := strings.NewReader(strings.Repeat("1\tx\n", 1000) + "y\tz\n")
	_, wrong := c.PgConn().CopyFrom(ctx, broken, "copy pgx_t from stdin")
	source := pgx.CopyFromSlice(1, func(int) ([]any, error) { return nil, io.ErrUnexpectedEOF })
	_, stopped := c.CopyFrom(ctx, pgx.Identifier{"pgx_t"}, []string{"id"}, source)
	return all(fails("23505", wrong), fails("57014", stopped), count(c, 0))
}

func errorsSayAll(c *pgx.Conn) error {
	err := run(c, "insert into pgx_t values (1)")
	var twice *pgconn.PgError
	if !errors.As(run(c, "insert into pgx_t values ($1)", 1), &twice) {
		return errors.New("the same key twice")
	}
	wrong := with(func(config *pgx.ConnConfig) { config.Password = "wrong" }, func(*pgx.Conn) error { return nil })
	return all(err, equal(twice.ConstraintName, "pgx_t_pkey"), equal(twice.Detail, "Key (id)=(1) already exists."),
		fails("42601", run(c, "select from where")), fails("22P02", run(c, "select $1::text::int", "x")),
		fails("28P01", wrong), run(c, "delete from pgx_t"))
}

func notices() error {
	heard := []string{}
	listen := func(config *pgx.ConnConfig) {
		config.OnNotice = func(_ *pgconn.PgConn, it *pgconn.Notice) { heard = append(heard, it.Severity+" "+it.Message) }
	}
	return with(listen, func(c *pgx.Conn) error {
		err := run(c, "do $$ begin raise notice 'first'; raise warning 'second 漢'; end $$")
		return all(err, equal(heard, []string{"NOTICE first", "WARNING second 漢"}))
	})
}

func notifications() error {
	if err := needs(2); err != nil {
		return err
	}
	return with(nil, func(c *pgx.Conn) error {
		err := all(run(c, "listen pgx_channel"), with(nil, func(other *pgx.Conn) error {
			return run(other, "select pg_notify('pgx_channel', $1)", "payload 漢")
		}))
		if err != nil {
			return err
		}
		limit, done := context.WithTimeout(ctx, 30*time.Second)
		defer done()
		heard, err := c.WaitForNotification(limit)
		if err != nil {
			return err
		}
		return equal(heard.Payload, "payload 漢")
	})
}

// deadline closes the connection and sends a cancel; nothing of the statement goes on.
func deadline() error {
	return with(nil, func(c *pgx.Conn) error {
		limit, done := context.WithTimeout(ctx, 500*time.Millisecond)
		defer done()
		_, err := c.Exec(limit, "select pg_sleep(60) /* pgx deadline */")
		return all(equal(pgconn.Timeout(err), true), equal(c.IsClosed(), true))
	})
}

func cancelRequest(c *pgx.Conn) error {
	ended := make(chan error, 1)
	go func() { ended <- run(c, "select pg_sleep(60)") }()
	for {
		select {
		case err := <-ended:
			return all(fails("57014", err), count(c, 0))
		case <-time.After(200 * time.Millisecond):
			// Again and again: a cancel before the statement has begun is lost, with every server.
			if err := c.PgConn().CancelRequest(ctx); err != nil {
				return err
			}
		}
	}
}

func settings() error {
	change := func(config *pgx.ConnConfig) {
		config.RuntimeParams["statement_timeout"] = "200"
		config.RuntimeParams["search_path"] = "pg_catalog"
		config.RuntimeParams["application_name"] = "named by pgx"
	}
	return with(change, func(c *pgx.Conn) error {
		var path, name, zone string
		err := c.QueryRow(ctx, "select current_setting('search_path'), current_setting('application_name')").Scan(&path, &name)
		timeout := run(c, "select pg_sleep(60)")
		set := run(c, "set time zone 'Asia/Tokyo'")
		told := c.QueryRow(ctx, "select ('2024-01-01 00:00Z'::timestamptz)::text").Scan(&zone)
		return all(err, equal(path, "pg_catalog"), equal(name, "named by pgx"), fails("57014", timeout), set, told,
			equal(zone, "2024-01-01 09:00:00+09"), equal(c.PgConn().ParameterStatus("TimeZone"), "Asia/Tokyo"))
	})
}
