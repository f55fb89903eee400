package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// kind is the type of a column, as the migrations write it.
type kind string

const (
	whole   kind = "bigint"
	boolean kind = "boolean"
	decimal kind = "double precision"
	text    kind = "text"
	blob    kind = "blob"
)

type column struct {
	name string
	kind kind
}

// table is one that every engine has.
type table struct {
	name    string
	columns []column
	parents []string // tables that its foreign keys name
	fresh   int64    // rows that the migrations themselves put there
}

// excluded are the shared tables that are not copied, with the reason.
func excluded() map[string]string {
	return map[string]string{
		"schema_version": "the target's own migrations write it",
		"storage_day":    "it is about the size of the other database, which says nothing about this one",
	}
}

// sharedTables gives the tables of the shared migrations, those first that
// others refer to. It runs the migrations in an empty database in memory, so
// that no table can be forgotten.
func sharedTables(ctx context.Context) ([]table, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection would have a database of its own
	if err := store.Migrate(ctx, db, store.Dialect{Blob: "blob"}, store.RowMigrations()); err != nil {
		return nil, fmt.Errorf("find out the tables: %w", err)
	}
	names, err := list(ctx, db, "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' order by name")
	if err != nil {
		return nil, fmt.Errorf("find out the tables: %w", err)
	}
	var all []table
	for _, name := range names {
		t, err := describe(ctx, db, name)
		if err != nil {
			return nil, fmt.Errorf("find out the columns of table %s: %w", name, err)
		}
		all = append(all, t)
	}
	return parentsFirst(all)
}

// copiedTables gives those of the shared tables that are copied.
func copiedTables(ctx context.Context) ([]table, error) {
	all, err := sharedTables(ctx)
	out := excluded()
	return slices.DeleteFunc(all, func(t table) bool { return out[t.name] != "" }), err
}

func describe(ctx context.Context, db *sql.DB, name string) (table, error) {
	t := table{name: name}
	rows, err := db.QueryContext(ctx, "select name, lower(type) from pragma_table_info($1) order by cid", name)
	if err != nil {
		return t, err
	}
	defer rows.Close()
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.kind); err != nil {
			return t, err
		}
		if c.kind == "integer" {
			c.kind = whole
		}
		if !slices.Contains([]kind{whole, boolean, decimal, text, blob}, c.kind) {
			return t, fmt.Errorf("column %s has the unknown type %s", c.name, c.kind)
		}
		t.columns = append(t.columns, c)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return t, err
	}
	if t.parents, err = list(ctx, db, `select distinct "table" from pragma_foreign_key_list($1)`, name); err != nil {
		return t, err
	}
	t.fresh, err = count(ctx, db, name)
	return t, err
}

func parentsFirst(all []table) ([]table, error) {
	var out []table
	placed := map[string]bool{}
	for len(out) < len(all) {
		before := len(out)
		for _, t := range all {
			waits := slices.ContainsFunc(t.parents, func(p string) bool { return p != t.name && !placed[p] })
			if !placed[t.name] && !waits {
				out = append(out, t)
				placed[t.name] = true
			}
		}
		if len(out) == before {
			return nil, errors.New("the foreign keys of the tables are a circle")
		}
	}
	return out, nil
}

// list gives the first column of a query.
func list(ctx context.Context, q store.Querier, query string, args ...any) (out []string, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func count(ctx context.Context, q store.Querier, table string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "select count(*) from "+table).Scan(&n)
	return n, err
}
