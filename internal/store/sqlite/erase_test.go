package sqlite

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/internal/store"
)

func TestEraseRefusesADatabaseInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, store.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := Erase(dir); err == nil || !strings.Contains(err.Error(), "another Trefoil uses this data directory") {
		t.Errorf("in use: got %v, want a refusal", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time there is nothing, which is fine
		if err := Erase(dir); err != nil {
			t.Errorf("closed: got %v, want no error", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, FileName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the database is still there (%v)", err)
	}
}
