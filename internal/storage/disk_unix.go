//go:build unix

package storage

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// DiskOf tells about the file system of a path.
func DiskOf(path string) (store.Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return store.Disk{}, fmt.Errorf("ask for the room on the disk of %s: %w", path, err)
	}
	size := int64(s.Bsize)
	return store.Disk{Total: int64(s.Blocks-s.Bfree+s.Bavail) * size, Free: int64(s.Bavail) * size}, nil
}
