package sqlite

import (
	"errors"
	"fmt"
	"os"
)

// lockFile keeps other processes out of a data directory. The system frees it
// when the process ends, however it ends.
type lockFile struct{ file *os.File }

var errLocked = errors.New("locked")

func acquireLock(path string) (*lockFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	if err := tryLock(f); err != nil {
		f.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("another Trefoil uses this data directory (it holds %s); stop it, or choose another directory with --data", path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &lockFile{file: f}, nil
}

func (l *lockFile) release() error { return l.file.Close() }
