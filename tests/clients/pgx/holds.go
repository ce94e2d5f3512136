// What a hold is to a program that uses pgx: OnNotice, then the result, or the deadline of its context.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

func holds() {
	for at, mode := range modes {
		check("hold: approved, "+mode.name, func() error { return approved(600+10*at, mode.change) })
	}
	check("hold: in a transaction", func() error { return with(nil, heldInTransaction) })
	check("hold: own time-out", ownTimeout)
}

// signing has somebody else sign for the text meanwhile.
func signing(text string, body func() error) error {
	people := exec.Command(os.Getenv("APPROVE"), text)
	people.Stderr = os.Stderr
	if err := people.Start(); err != nil {
		return err
	}
	return all(body(), people.Wait())
}

func state(text, toCome string) (string, error) {
	said, err := exec.Command(os.Getenv("TICKET_STATE"), text, toCome).Output()
	return strings.TrimSpace(string(said)), err
}

func note(c *pgx.Conn, id int, expected ...string) error {
	rows, err := c.Query(ctx, "select note from held where id = $1", id)
	if err != nil {
		return err
	}
	defer rows.Close()
	seen := []string(nil)
	for rows.Next() {
		var note string
		if err := rows.Scan(&note); err != nil {
			return err
		}
		seen = append(seen, note)
	}
	return all(rows.Err(), equal(seen, expected))
}

func approved(id int, mode func(*pgx.ConnConfig)) error {
	var heard []*pgconn.Notice
	change := func(config *pgx.ConnConfig) {
		if mode != nil {
			mode(config)
		}
		config.OnNotice = func(_ *pgconn.PgConn, it *pgconn.Notice) { heard = append(heard, it) }
	}
	return with(change, func(c *pgx.Conn) error {
		text := fmt.Sprint("pgx approved ", id)
		err := signing(text, func() error {
			return run(c, "insert into held values ($1, $2) /* "+text+" */", id, text)
		})
		if err := all(err, note(c, id, text)); err != nil {
			return err
		}
		if len(heard) == 0 {
			return errors.New("no notice")
		}
		if mode == nil {
			fmt.Printf("sees: nothing, unless the program has OnNotice: %s / %s / %s\n", heard[0].Message, heard[0].Detail, heard[0].Hint)
		}
		return nil
	})
}

func heldInTransaction(c *pgx.Conn) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	err = signing("pgx tx", func() error {
		_, err := tx.Exec(ctx, "insert into held values ($1, 'pgx tx')", 690)
		return err
	})
	if needs(2) == nil {
		err = all(err, with(nil, func(other *pgx.Conn) error { return note(other, 690) }))
	}
	return all(err, tx.Commit(ctx), note(c, 690, "pgx tx"))
}

// ownTimeout: at its deadline pgx v4 cancels and closes the connection.
func ownTimeout() error {
	err := with(nil, func(c *pgx.Conn) error {
		limit, done := context.WithTimeout(ctx, 3*time.Second)
		defer done()
		_, err := c.Exec(limit, "insert into held values ($1, 'pgx too late')", 691)
		return equal(pgconn.Timeout(err), true)
	})
	seen, asked := state("pgx too late", "withdrawn")
	return all(err, asked, equal(seen, "withdrawn"), with(nil, func(c *pgx.Conn) error { return note(c, 691) }))
}
