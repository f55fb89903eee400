package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// committing is a writer that lets commits and upkeep happen between its
// pages.
type committing struct {
	io.Writer
	between func()
}

func (c committing) Write(b []byte) (int, error) {
	c.between()
	return c.Writer.Write(b)
}

// backup copies the store to a file while it is written to.
func backup(t *testing.T, m *months) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	promised, n := int64(0), 0
	err = m.Copy(context.Background(), func(size int64) (io.Writer, error) {
		promised = size
		return committing{f, func() {
			n++
			commit(t, m.Store, numbered(0, n))
			upkeep(t, m.Store)
		}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != promised || n == 0 {
		t.Errorf("copy: got %d bytes with %d commits meanwhile, %v; want %d bytes and commits", info.Size(), n, err, promised)
	}
	return path
}

func TestACopyIsTheDatabaseAsItWasWhenItBegan(t *testing.T) {
	m := newMonths(t, 5, time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC))
	want := readAll(t, m.Store, "dev-3", "m")
	path := backup(t, m)
	b, err := sqlite.Inspect(t.Context(), path)
	if err != nil || b.Readings == 0 || b.Chunks == 0 {
		t.Errorf("inspect: got %+v, %v; want readings and chunks", b, err)
	}
	dir := t.TempDir()
	if aside, err := sqlite.Restore(dir, path, false, m.now, nil); err != nil || aside != "" {
		t.Fatalf("restore: got %q, %v", aside, err)
	}
	s := open(t, dir, store.Options{})
	if got := readAll(t, s, "dev-3", "m"); !slices.Equal(got, want) {
		t.Errorf("restored: got %d readings, want %d", len(got), len(want))
	}
	if got := readAll(t, s, "dev-0", "n"); len(got) != 0 {
		t.Errorf("what was committed after the copy began: got %d readings, want none", len(got))
	}
}

func TestRestoreReplacesNothingUnaskedAndKeepsTheOldDatabase(t *testing.T) {
	m := newMonths(t, 1, time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC))
	path := backup(t, m)
	dir := t.TempDir()
	old := open(t, dir, store.Options{})
	commit(t, old, numbered(3, 1))
	if _, err := sqlite.Restore(dir, path, true, m.now, nil); err == nil || !strings.Contains(err.Error(), "another Trefoil") {
		t.Errorf("restore under a running server: got %v, want it refused", err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Restore(dir, path, false, m.now, nil); !errors.Is(err, sqlite.ErrOccupied) {
		t.Errorf("restore over a database: got %v, want %v", err, sqlite.ErrOccupied)
	}
	aside, err := sqlite.Restore(dir, path, true, m.now, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := sqlite.Inspect(t.Context(), aside); err != nil || b.Bytes == 0 {
		t.Errorf("the old database: got %+v, %v", b, err)
	}
	if got := readAll(t, open(t, dir, store.Options{}), "dev-0", "m"); len(got) == 0 {
		t.Error("restored: got no readings")
	}
}

func TestADamagedBackupIsNotRestored(t *testing.T) {
	m := newMonths(t, 20, time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC))
	path := backup(t, m)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"short":          whole[:len(whole)/2],
		"no database":    bytes.Repeat([]byte("no database "), 1000),
		"a page is junk": append(append(slices.Clone(whole[:8192]), bytes.Repeat([]byte{0x5a}, 4096)...), whole[12288:]...),
	} {
		write(t, path, damaged)
		if b, err := sqlite.Inspect(t.Context(), path); err == nil {
			t.Errorf("%s: got %+v, want an error", name, b)
		}
	}
}

func TestAnUpgradeKeepsACopyThatRollbackPutsBack(t *testing.T) {
	m := newMonths(t, 3, time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC))
	names := partitions(t, m.Store)
	want := readAll(t, m.Store, "dev-1", "m")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	snapshot := filepath.Join(m.dir, sqlite.SnapshotName)
	if _, err := os.Stat(snapshot); err == nil {
		t.Error("a new database has a copy from before an upgrade, want none")
	}
	unsort(t, m.dir, names)
	s := m.open(m.dir, nil)
	if _, err := os.Stat(snapshot); err != nil {
		t.Errorf("after an upgrade: %v, want a copy", err)
	}
	commit(t, s, numbered(0, 1)) // is lost by the rollback
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	aside, b, err := sqlite.Rollback(t.Context(), m.dir, m.now)
	if err != nil || aside == "" || b.Bytes == 0 {
		t.Fatalf("rollback: got %q, %+v, %v", aside, b, err)
	}
	s = m.open(m.dir, nil) // by this version again, which upgrades again
	if got := readAll(t, s, "dev-1", "m"); !slices.Equal(got, want) {
		t.Errorf("after the rollback: got %d readings, want %d", len(got), len(want))
	}
	if got := readAll(t, s, "dev-0", "n"); len(got) != 0 {
		t.Errorf("what came after the upgrade: got %d readings, want none", len(got))
	}
}

func TestAfterACrashTheDatabaseIsChecked(t *testing.T) {
	m := newMonths(t, 3, time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC))
	said := func(dir string) string {
		var log bytes.Buffer
		s, err := sqlite.Open(t.Context(), dir, store.Options{}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			return err.Error()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	crashed := copyFiles(t, m.dir)
	if got := said(crashed); !strings.Contains(got, "was checked and is whole") {
		t.Errorf("after a crash: got %q, want a check", got)
	}
	if got := said(crashed); got != "" {
		t.Errorf("after a clean stop: got %q, want no check", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, m.dir, "update clean_stop set clean = false", "update chunk_202601 set data = x'0102030405060708'")
	if got := said(m.dir); !strings.Contains(got, "a chunk is damaged") {
		t.Errorf("with a damaged chunk: got %q, want it reported", got)
	}
	edit(t, m.dir, "update clean_stop set clean = false")
	path := filepath.Join(m.dir, sqlite.FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[len(b)/2:], bytes.Repeat([]byte{0xff}, 16<<10))
	write(t, path, b)
	if got := said(m.dir); !strings.Contains(got, "restore a backup") {
		t.Errorf("with damaged pages: got %q, want a refusal that says to restore a backup", got)
	}
}
