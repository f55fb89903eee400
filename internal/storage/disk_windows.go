package storage

import (
	"fmt"

	"golang.org/x/sys/windows"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// DiskOf tells about the file system of a path.
func DiskOf(path string) (store.Disk, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return store.Disk{}, err
	}
	var free, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, &total, &all); err != nil {
		return store.Disk{}, fmt.Errorf("ask for the room on the disk of %s: %w", path, err)
	}
	return store.Disk{Total: int64(total), Free: int64(free)}, nil
}
