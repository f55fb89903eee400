package sqlite_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

func open(t testing.TB, dir string, options store.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir, options, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSecondProcessIsKeptOutOfTheDirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, store.Options{})
	_, err := sqlite.Open(t.Context(), dir, store.Options{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "another Trefoil") {
		t.Fatalf("second open: got error %v, want one that names another Trefoil", err)
	}
}

func TestDamagedFileIsRefusedAndKept(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"not a database": func(t *testing.T, path string) { write(t, path, []byte(strings.Repeat("no database ", 1000))) },
		"missing beside its log": func(t *testing.T, path string) {
			write(t, path+"-wal", []byte("something"))
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"overwritten in the middle": func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 8192; i < len(b); i++ {
				b[i] = 0x5a
			}
			write(t, path, b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := open(t, dir, store.Options{}).Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			path := filepath.Join(dir, sqlite.FileName)
			damage(t, path)
			before, _ := os.ReadFile(path)
			_, err := sqlite.Open(t.Context(), dir, store.Options{}, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), "restore a backup") {
				t.Fatalf("open: got error %v, want one that says to restore a backup", err)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Errorf("the file was changed: %d bytes before, %d after", len(before), len(after))
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
