package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Copier copies a database while it is used.
type Copier interface {
	Copy(ctx context.Context, open func(size int64) (io.Writer, error)) error
}

// Plan says where and when copies are made.
type Plan struct {
	Directory string
	Every     time.Duration
	Keep      int
	Copier    Copier
	Now       func() time.Time
	Log       *slog.Logger
}

// Backups makes copies by schedule and removes the oldest.
type Backups struct {
	Plan
	mu   sync.Mutex
	last Backup
	err  error
}

// Backup is one copy.
type Backup struct {
	Path  string
	Time  time.Time // when it was begun; 0: there is none
	Bytes int64
}

// NewBackups makes the schedule; [Backups.Run] keeps it.
func NewBackups(p Plan) *Backups { return &Backups{Plan: p} }

const (
	backupPrefix = "trefoil-"
	backupSuffix = ".db"
	backupTime   = "20060102-150405"
	retryBackup  = 10 * time.Minute // after one that failed
)

// Run makes a copy whenever the last one is old enough, until ctx ends. A
// restart does not make the next one earlier.
func (b *Backups) Run(ctx context.Context) error {
	if list, err := b.list(); err == nil && len(list) > 0 {
		b.set(list[len(list)-1], nil)
	}
	for {
		timer := time.NewTimer(b.due())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		b.once(ctx)
	}
}

// due gives the time until the next copy.
func (b *Backups) due() time.Duration {
	last, err := b.Last()
	switch {
	case err != nil:
		return retryBackup
	case last.Time.IsZero():
		return time.Second // let the server get ready first
	default:
		return max(time.Second, last.Time.Add(b.Every).Sub(b.Now()))
	}
}

func (b *Backups) once(ctx context.Context) {
	began := b.Now()
	made, err := b.make(ctx)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = b.rotate()
	}
	if err != nil {
		last, _ := b.Last()
		b.set(last, err)
		b.Log.Error("the scheduled backup failed; it is tried again in ten minutes", "directory", b.Directory, "error", err)
		return
	}
	b.set(made, nil)
	b.Log.Info("scheduled backup made", "file", made.Path, "bytes", made.Bytes, "took", b.Now().Sub(began).Round(time.Millisecond))
}

func (b *Backups) make(ctx context.Context) (Backup, error) {
	if err := os.MkdirAll(b.Directory, 0o700); err != nil {
		return Backup{}, err
	}
	at := b.Now().UTC().Truncate(time.Second)
	path := filepath.Join(b.Directory, backupPrefix+at.Format(backupTime)+backupSuffix)
	size, err := WriteCopy(ctx, b.Copier, path)
	return Backup{Path: path, Time: at, Bytes: size}, err
}

// WriteCopy writes a copy to a file that is there as a whole or not at all.
func WriteCopy(ctx context.Context, c Copier, path string) (size int64, err error) {
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	err = c.Copy(ctx, func(n int64) (io.Writer, error) {
		size = n
		return f, nil
	})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(path+".part"))
	}
	return size, nil
}

// list gives the copies in the directory that this schedule has made, the
// oldest first. Other files are none of its business.
func (b *Backups) list() ([]Backup, error) {
	entries, err := os.ReadDir(b.Directory)
	if err != nil {
		return nil, err
	}
	var all []Backup
	for _, e := range entries {
		name, ours := strings.CutPrefix(e.Name(), backupPrefix)
		name, whole := strings.CutSuffix(name, backupSuffix)
		at, err := time.Parse(backupTime, name)
		if !ours || !whole || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		all = append(all, Backup{Path: filepath.Join(b.Directory, e.Name()), Time: at, Bytes: info.Size()})
	}
	slices.SortFunc(all, func(a, b Backup) int { return cmp.Compare(a.Time.Unix(), b.Time.Unix()) })
	return all, nil
}

// rotate removes the oldest copies beyond those to keep.
func (b *Backups) rotate() error {
	all, err := b.list()
	if err != nil {
		return err
	}
	for ; len(all) > b.Keep; all = all[1:] {
		if err := os.Remove(all[0].Path); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
	}
	return nil
}

func (b *Backups) set(last Backup, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.err = last, err
}

// Last gives the latest copy, and why the next one could not be made.
func (b *Backups) Last() (Backup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.err
}
