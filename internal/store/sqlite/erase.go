package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Erase removes the database in dir for good. It refuses while a process uses
// it. A directory without a database is left as it is.
func Erase(dir string) error {
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := acquireLock(filepath.Join(dir, "trefoil.lock"))
	if err != nil {
		return err
	}
	var errs []error
	// The database last: without it, a rest of the log would belong to nothing.
	for _, name := range []string{path + "-wal", path + "-shm", path} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("erase the database: %w", err))
		}
	}
	return errors.Join(append(errs, lock.release())...)
}
