package store_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"testing/fstest"

	_ "modernc.org/sqlite"

	"github.com/trefoil-iot/trefoil/internal/store"
)

func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+t.TempDir()+"/test.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func part(files map[string]string) store.Migrations {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return store.Migrations{Part: "test", Files: m}
}

func version(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "select coalesce(max(version), 0) from schema_version where part = 'test'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var blob = store.Dialect{Blob: "blob"}

func TestEachStepRunsOnceAndInOrder(t *testing.T) {
	db := database(t)
	one := map[string]string{"001_first.sql": "create table a (x BLOB); insert into a values ('1');"}
	for range 2 {
		if err := store.Migrate(t.Context(), db, blob, part(one)); err != nil {
			t.Fatal(err)
		}
	}
	one["002_second.sql"] = "insert into a select x || '2' from a"
	if err := store.Migrate(t.Context(), db, blob, part(one)); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := db.QueryRowContext(t.Context(), "select group_concat(x, ' ') from a").Scan(&got); err != nil || got != "1 12" {
		t.Errorf("rows: got %q, %v; want %q", got, err, "1 12")
	}
	if got := version(t, db); got != 2 {
		t.Errorf("version: got %d, want 2", got)
	}
}

func TestStepThatFailsLeavesNothingOfItself(t *testing.T) {
	db := database(t)
	files := map[string]string{"001_first.sql": "create table a (x text)", "002_bad.sql": "insert into a values ('half'); insert into nowhere values (1);"}
	err := store.Migrate(t.Context(), db, blob, part(files))
	if err == nil || !strings.Contains(err.Error(), "002_bad.sql") {
		t.Errorf("got error %v, want one that names 002_bad.sql", err)
	}
	var rows int
	if err := db.QueryRowContext(t.Context(), "select count(*) from a").Scan(&rows); err != nil || rows != 0 || version(t, db) != 1 {
		t.Errorf("got %d rows, %v, version %d; want 0 rows and version 1", rows, err, version(t, db))
	}
}

func TestDatabaseOfANewerProgramIsRefused(t *testing.T) {
	db := database(t)
	files := map[string]string{"001_a.sql": "create table a (x text)", "002_b.sql": "create table b (x text)"}
	if err := store.Migrate(t.Context(), db, blob, part(files)); err != nil {
		t.Fatal(err)
	}
	delete(files, "002_b.sql")
	err := store.Migrate(t.Context(), db, blob, part(files))
	if err == nil || !strings.Contains(err.Error(), "newer") || !strings.Contains(err.Error(), "2") {
		t.Errorf("got error %v, want one that says newer and the version 2", err)
	}
}

func TestGapInTheNumbersIsRefused(t *testing.T) {
	err := store.Migrate(context.Background(), database(t), blob, part(map[string]string{"001_a.sql": "", "003_c.sql": ""}))
	if err == nil || !strings.Contains(err.Error(), "003_c.sql") {
		t.Errorf("got error %v, want one that names 003_c.sql", err)
	}
}
