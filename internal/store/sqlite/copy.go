package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// Copy writes the database as it is when it is called to the writer that open
// gives, byte for byte a file that [Open] can open. open is told the size, of
// which w then gets all. Commits go on meanwhile; what they bring is not in
// the copy, and the write-ahead log grows until Copy has ended.
func (s *Store) Copy(ctx context.Context, open func(size int64) (io.Writer, error)) error {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect for the copy: %w", err)
	}
	defer conn.Close()
	return copyPages(ctx, conn, open)
}

// copyPages copies what one transaction sees.
func copyPages(ctx context.Context, conn *sql.Conn, open func(size int64) (io.Writer, error)) (err error) {
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin the copy: %w", err)
	}
	defer tx.Rollback()
	var pages, size int64
	err = tx.QueryRowContext(ctx, "select (select count(*) from sqlite_schema), n.page_count * p.page_size from pragma_page_count n, pragma_page_size p").Scan(&pages, &size)
	if err != nil {
		return fmt.Errorf("begin the copy: %w", err)
	}
	out, err := open(size)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "select data from sqlite_dbpage order by pgno")
	if err != nil {
		return fmt.Errorf("read the pages: %w", err)
	}
	defer rows.Close()
	w := bufio.NewWriterSize(out, 1<<20)
	for rows.Next() {
		var page sql.RawBytes
		if err := rows.Scan(&page); err != nil {
			return fmt.Errorf("read the pages: %w", err)
		}
		if _, err := w.Write(page); err != nil {
			return fmt.Errorf("write the copy: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("read the pages: %w", err))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the copy: %w", err)
	}
	return nil
}

// snapshotSuffix ends the name of the copy that is made before tables change.
const snapshotSuffix = ".before-upgrade"

// SnapshotName is the copy of the database from before its last upgrade; it is
// in the data directory.
const SnapshotName = FileName + snapshotSuffix

// snapshot copies a database whose tables are going to change, in place of an
// earlier such copy.
func (s *Store) snapshot(ctx context.Context, parts ...store.Migrations) error {
	pending, err := store.Pending(ctx, s.writerDB, parts...)
	if err != nil || !pending {
		return err
	}
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	path := s.path + snapshotSuffix
	s.logger.Info("the tables of the database change with this version; a copy of it is kept, and trefoil rollback puts it back", "copy", path)
	err = writeFile(path, func(f *os.File) error {
		return copyPages(ctx, conn, func(int64) (io.Writer, error) { return f, nil })
	})
	if err != nil {
		return fmt.Errorf("copy the database before its tables change: %w", err)
	}
	return nil
}

// writeFile writes a file that is either there as a whole or not at all.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(path+".part")))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync() // not every system can; the rename is done all the same
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
