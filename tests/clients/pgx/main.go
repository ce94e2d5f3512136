// pgx v4 before the gate: every mode it talks in, or with HOLD=1 what a program that uses it sees of a hold.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v4"
)

var (
	ctx    = context.Background()
	failed = false
)

type skip string

func (why skip) Error() string { return string(why) }

func main() {
	version, _ := os.ReadFile(os.Getenv("CLIENTS_CACHE") + "/pgx/version")
	fmt.Println("version", strings.TrimSpace(string(version)))
	if os.Getenv("HOLD") != "" {
		holds()
	} else {
		check("tables", createTables)
		values()
		talk()
		check("tables go", dropTables)
	}
	if failed {
		os.Exit(1)
	}
}

func check(name string, body func() error) {
	switch err := body().(type) {
	case nil:
		fmt.Println("ok", name)
	case skip:
		fmt.Printf("skip %s: %s\n", name, err)
	default:
		failed = true
		fmt.Printf("not ok %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " | "))
	}
}

func equal(seen, expected any) error {
	if reflect.DeepEqual(seen, expected) {
		return nil
	}
	return fmt.Errorf("expected %.300s, saw %.300s", fmt.Sprintf("%#v", expected), fmt.Sprintf("%#v", seen))
}

// all is the first error of several.
func all(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// needs is for a check whose sessions keep so many connections to the server from each other: by transactions that are
// open at the same time, or by something that a session has to itself.
func needs(connections int) error {
	there, err := strconv.Atoi(os.Getenv("POOL"))
	if err != nil || connections <= there {
		return nil
	}
	return skip(fmt.Sprintf("needs %d connections to the server at a time, and the gate has %d", connections, there))
}

// with connects to where libpq's variables point, and closes in the end.
func with(change func(*pgx.ConnConfig), body func(*pgx.Conn) error) error {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return err
	}
	if change != nil {
		change(config)
	}
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return body(c)
}

func run(c *pgx.Conn, sql string, arguments ...any) error {
	_, err := c.Exec(ctx, sql, arguments...)
	return err
}

func createTables() error {
	return all(dropTables(), with(nil, func(c *pgx.Conn) error {
		return run(c, "create table pgx_t (id int primary key, note text)")
	}))
}

func dropTables() error {
	return with(nil, func(c *pgx.Conn) error { return run(c, "drop table if exists pgx_t") })
}
