package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
	"github.com/trefoil-iot/trefoil/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Database { return &database{dir: t.TempDir()} })
}

// database is a directory; a crash moves on to a copy of its files as they
// are at that moment.
type database struct{ dir string }

func (d *database) Open(t *testing.T, options store.Options) store.Store {
	t.Helper()
	return open(t, d.dir, options)
}

func (d *database) Crash(t *testing.T, _ store.Store) {
	t.Helper()
	d.dir = copyFiles(t, d.dir)
}

// copyFiles copies what a killed process leaves on the disk.
func copyFiles(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{sqlite.FileName, sqlite.FileName + "-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
