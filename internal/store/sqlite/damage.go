package sqlite

import (
	"errors"
	"fmt"
	"os"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errDamaged is what is wrong with a file whose content contradicts itself.
var errDamaged = errors.New("the database is damaged")

// checkFiles refuses what SQLite would take for a new database although a
// part of an old one is there.
func checkFiles(path string) error {
	db, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil && db.Size() > 0 {
		return nil
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return fmt.Errorf("%w: %s-wal has data and %s is missing or empty", errDamaged, path, path)
	}
	return nil
}

// explain adds the next step to the faults of opening that have one.
func explain(path string, err error) error {
	if damaged(err) {
		return fmt.Errorf("open %s: %w; restore a backup, or move %s, %s-wal and %s-shm elsewhere to begin empty and keep them for repair",
			path, err, path, path, path)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

func damaged(err error) bool {
	if errors.Is(err, errDamaged) {
		return true
	}
	switch primaryCode(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	default:
		return false
	}
}

// primaryCode gives the result code of SQLite in err, 0 if there is none.
func primaryCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
