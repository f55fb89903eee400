package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var files embed.FS

// RowMigrations are the tables that every engine has: those of devices,
// users, the ledger and so on.
func RowMigrations() Migrations {
	sub, err := fs.Sub(files, "migrations")
	if err != nil { // a constant path that is in the binary
		panic(err)
	}
	return Migrations{Part: "rows", Files: sub}
}

// Migrations are the numbered steps of one part of a database: files in the
// root of Files with names such as 001_first.sql, numbered 1, 2, 3 … without
// a gap. A step that was released is never changed; a new one follows it.
type Migrations struct {
	Part  string
	Files fs.FS
}

// Dialect says how an engine writes what the migrations leave open.
type Dialect struct {
	Blob string // the type of bytes, which the migrations write as BLOB
}

// Beginner begins transactions: *sql.DB or *sql.Conn.
type Beginner interface {
	Querier
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// Migrate brings the database to the newest version of each part, each step
// in a transaction of its own, and remembers in the table schema_version what
// was done. It goes forward only: a database that has steps which this
// program does not know is refused with an error that says so.
func Migrate(ctx context.Context, db Beginner, d Dialect, parts ...Migrations) error {
	_, err := db.ExecContext(ctx, `create table if not exists schema_version (
		part text not null, version bigint not null, name text not null, primary key (part, version))`)
	if err != nil {
		return fmt.Errorf("make table schema_version: %w", err)
	}
	for _, p := range parts {
		if err := migratePart(ctx, db, d, p); err != nil {
			return fmt.Errorf("migrate %s: %w", p.Part, err)
		}
	}
	return nil
}

// Pending reports whether Migrate would change a database that has tables
// already.
func Pending(ctx context.Context, q Querier, parts ...Migrations) (bool, error) {
	rows, err := q.QueryContext(ctx, "select part, max(version) from schema_version group by part")
	if err != nil {
		return false, nil // no such table: the database is new
	}
	defer rows.Close()
	done := map[string]int{}
	for rows.Next() {
		var part string
		var version int
		if err := rows.Scan(&part, &version); err != nil {
			return false, err
		}
		done[part] = version
	}
	if err := rows.Err(); err != nil || len(done) == 0 {
		return false, err
	}
	for _, p := range parts {
		steps, err := p.steps()
		if err != nil || done[p.Part] < len(steps) {
			return err == nil, err
		}
	}
	return false, nil
}

func migratePart(ctx context.Context, db Beginner, d Dialect, m Migrations) error {
	steps, err := m.steps()
	if err != nil {
		return err
	}
	var done int
	err = db.QueryRowContext(ctx, "select coalesce(max(version), 0) from schema_version where part = $1", m.Part).Scan(&done)
	if err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if done > len(steps) {
		return fmt.Errorf("the database has version %d and this program knows versions up to %d; "+
			"start the newer Trefoil that wrote it, put back the copy from before its upgrade with trefoil rollback, or restore a backup", done, len(steps))
	}
	for i := done; i < len(steps); i++ {
		if err := m.apply(ctx, db, d, i+1, steps[i]); err != nil {
			return fmt.Errorf("step %s: %w", steps[i], err)
		}
	}
	return nil
}

// steps gives the names of the files in order and checks their numbers.
func (m Migrations) steps() ([]string, error) {
	names, err := fs.Glob(m.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for i, name := range names {
		number, _, _ := strings.Cut(name, "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("file %s: want number %d", name, i+1)
		}
	}
	return names, nil
}

func (m Migrations) apply(ctx context.Context, db Beginner, d Dialect, version int, name string) error {
	text, err := fs.ReadFile(m.Files, name)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, strings.ReplaceAll(string(text), "BLOB", d.Blob)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "insert into schema_version (part, version, name) values ($1, $2, $3)", m.Part, version, name)
	if err != nil {
		return err
	}
	return tx.Commit()
}
