package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// checkDisk drops the oldest partition when the disk is fuller than it may be
// and dropping can help. What is free inside of the file counts as free: the
// file does not shrink, and new readings fill it first.
func (s *Store) checkDisk(ctx context.Context) error {
	if s.options.Disk == nil || s.options.MaxDisk <= 0 {
		return nil
	}
	disk, err := s.options.Disk()
	if err != nil || disk.Total <= 0 {
		return err
	}
	reusable, err := s.reusable(ctx)
	if err != nil {
		return err
	}
	over := disk.Total - disk.Free - reusable - int64(s.options.MaxDisk*float64(disk.Total))
	r := &s.upkeep.retention
	if over <= 0 {
		r.warned = false
		return nil
	}
	oldest, bytes, err := s.oldParts(ctx)
	if err != nil {
		return err
	}
	if bytes < over {
		if !r.warned {
			s.logger.Error("the disk is fuller than storage.max_disk, and dropping all old readings would not help: others fill it; nothing is dropped",
				"over", over, "old_readings", bytes)
		}
		r.warned = true
		return nil
	}
	s.logger.Warn("the disk is fuller than storage.max_disk; the oldest readings go", "over", over)
	return s.dropPart(ctx, oldest, store.DropDisk)
}

// oldParts gives the oldest partition, and the size of all that may go: not
// the one of now and the one before it.
func (s *Store) oldParts(ctx context.Context) (oldest part, bytes int64, err error) {
	now := trefoil.InstantOf(s.options.Now())
	limit := partOf(partOf(now).start - 1).start
	old := between(s.parts, minTime-day, limit)
	if len(old) == 0 {
		return part{}, 0, nil
	}
	err = s.readers.QueryRowContext(ctx, "select coalesce(sum(bytes), 0) from partition where until <= $1", int64(limit)).Scan(&bytes)
	return old[0], bytes, err
}

// reusable gives the bytes of the file that are free.
func (s *Store) reusable(ctx context.Context) (bytes int64, err error) {
	err = s.readers.QueryRowContext(ctx, "select f.freelist_count * p.page_size from pragma_freelist_count f, pragma_page_size p").Scan(&bytes)
	return bytes, err
}

// Storage tells where the space goes.
func (s *Store) Storage(ctx context.Context) (out store.Storage, err error) {
	if out.Tables, err = s.partTables(ctx); err == nil {
		err = s.rowTables(ctx, &out)
	}
	if err == nil {
		out.Reusable, err = s.reusable(ctx)
	}
	if err == nil {
		out.Oldest, err = s.oldest(ctx)
	}
	if err != nil {
		return store.Storage{}, fmt.Errorf("find out where the space goes: %w", err)
	}
	if info, err := os.Stat(s.path + "-wal"); err == nil {
		out.Tables = append(out.Tables, store.Table{Name: "write-ahead log", Bytes: info.Size()})
	}
	slices.SortStableFunc(out.Tables, func(a, b store.Table) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return out, nil
}

// partTables gives the partitions with the sizes that are kept beside them:
// asking SQLite would read all their pages.
func (s *Store) partTables(ctx context.Context) (list []store.Table, err error) {
	rows, err := s.readers.QueryContext(ctx, "select name, start, until, readings - summed, bytes from partition")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t store.Table
		if err := rows.Scan(&t.Name, &t.From, &t.To, &t.Readings, &t.Bytes); err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// rowTables adds all other tables, each with its indexes.
func (s *Store) rowTables(ctx context.Context, out *store.Storage) error {
	rows, err := s.readers.QueryContext(ctx, `select tbl_name, sum(pgsize) from
		(select s.tbl_name, (select pgsize from dbstat d where d.name = s.name and d.aggregate = 1) pgsize
		from sqlite_schema s where s.rootpage > 0 and s.tbl_name not in (select name from partition)) group by tbl_name`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t store.Table
		if err := rows.Scan(&t.Name, &t.Bytes); err != nil {
			return err
		}
		if !strings.HasPrefix(t.Name, "sqlite_") {
			out.Tables = append(out.Tables, t)
		}
	}
	return rows.Err()
}

// oldest gives the time of about the oldest reading: exact in the chunks of
// the first partition, unless that is large.
func (s *Store) oldest(ctx context.Context) (trefoil.Instant, error) {
	s.mu.RLock()
	parts := s.parts
	oldest := trefoil.Instant(0)
	for _, x := range s.all {
		if snapshot := x.head.Snapshot(); x.head.Len() > 0 {
			if all := snapshot.Columns(); oldest == 0 || all.Time(0) < oldest {
				oldest = all.Time(0)
			}
		}
	}
	s.mu.RUnlock()
	if len(parts) == 0 {
		return oldest, nil
	}
	var first trefoil.Instant
	err := s.readers.QueryRowContext(ctx, "select coalesce(min(first), 0) from (select first from "+parts[0].name+" limit 10000)").Scan(&first)
	if err != nil { // retention has just removed it
		first = parts[0].start
	}
	if first != 0 && (oldest == 0 || first < oldest) {
		oldest = first
	}
	return oldest, ctx.Err()
}
