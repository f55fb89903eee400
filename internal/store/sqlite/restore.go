package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Backup is what [Inspect] found in a copy of a database.
type Backup struct {
	Bytes    int64
	Devices  int64
	Readings int64           // in chunks; those of the last hours are besides
	Newest   trefoil.Instant // device that changed or connected last, about when the copy was made
	Chunks   int             // that were decoded as a sample
}

// Inspect checks that the file is a whole database of this program: every page
// by SQLite, and a sample of the chunks.
func Inspect(ctx context.Context, path string) (b Backup, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return b, err
	}
	b.Bytes = info.Size()
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: "mode=ro&immutable=1"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return b, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := quickCheck(ctx, db); err != nil {
		return b, fmt.Errorf("%s: %w", path, err)
	}
	var known bool
	err = db.QueryRowContext(ctx, "select exists (select 1 from sqlite_schema where name = 'schema_version')").Scan(&known)
	if err != nil || !known {
		return b, errors.Join(err, fmt.Errorf("%s is no database of Trefoil", path))
	}
	err = db.QueryRowContext(ctx, `select count(*), coalesce(max(max(updated, presence_since)), 0),
		(select coalesce(sum(stored), 0) from series) from device`).Scan(&b.Devices, &b.Newest, &b.Readings)
	if err != nil {
		return b, fmt.Errorf("%s: %w", path, err)
	}
	b.Chunks, err = sampleChunks(ctx, db)
	return b, err
}

// quickCheck lets SQLite look at every page.
func quickCheck(ctx context.Context, db store.Querier) error {
	var verdict string
	err := db.QueryRowContext(ctx, "pragma quick_check(1)").Scan(&verdict)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && verdict != "ok" {
		err = errors.New(verdict)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

// samplePart is the number of chunks of each partition that are decoded.
const samplePart = 20

// sampleChunks decodes some chunks of every partition; the first that is
// damaged is an error.
func sampleChunks(ctx context.Context, db store.Querier) (n int, err error) {
	codec, err := series.NewCodec()
	if err != nil {
		return 0, err
	}
	defer codec.Close()
	names, err := chunkTables(ctx, db)
	for _, name := range names {
		if err == nil {
			err = sampleTable(ctx, db, codec, name, &n)
		}
	}
	return n, err
}

func chunkTables(ctx context.Context, db store.Querier) (names []string, err error) {
	rows, err := db.QueryContext(ctx, "select name from sqlite_schema where type = 'table' and name like 'chunk%'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// sampleTable takes chunks that are spread over the ids of the table.
func sampleTable(ctx context.Context, db store.Querier, codec *series.Codec, name string, n *int) error {
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`with recursive ends as (select min(id) low, max(id) high from %[1]s),
		pick(k, at) as (select 0, (select low from ends) union all select k + 1, (select low + (high - low) / %[2]d * (k + 1) from ends) from pick where k < %[2]d - 1)
		select id, data from pick join %[1]s on id = (select min(id) from %[1]s where id >= at)`, name, samplePart))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		*n++
		var fault error
		if series.Packed(data) {
			_, fault = codec.UnpackHours(data)
		} else {
			_, fault = codec.Decode(data)
		}
		if fault != nil {
			return fmt.Errorf("%w: chunk %d of %s: %w", errDamaged, id, name, fault)
		}
	}
	return rows.Err()
}

// ErrOccupied refuses to restore over a database.
var ErrOccupied = errors.New("there is a database already")

// Restore puts a checked copy in place of the database of dir, whose files are
// kept beside it under the name that it returns, "" when there was none. With
// replace false a database that is there is [ErrOccupied].
func Restore(dir, from string, replace bool, now time.Time, progress func(n int64)) (aside string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := acquireLock(filepath.Join(dir, "trefoil.lock"))
	if err != nil {
		return "", err
	}
	defer lock.release()
	path := filepath.Join(dir, FileName)
	_, err = os.Stat(path)
	if occupied := err == nil; occupied && !replace {
		return "", ErrOccupied
	}
	fresh := path + ".restored"
	if err := copyFile(from, fresh, progress); err != nil {
		return "", fmt.Errorf("copy the backup: %w", err)
	}
	if err == nil {
		if aside, err = moveAside(path, now); err != nil {
			return "", fmt.Errorf("keep the old database: %w", err)
		}
	}
	if err := ignoreMissing(os.Remove(path + "-wal")); err != nil {
		return aside, err
	}
	if err := os.Rename(fresh, path); err != nil {
		return aside, err
	}
	return aside, syncDir(dir)
}

func copyFile(from, to string, progress func(n int64)) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFile(to, func(f *os.File) error {
		_, err := io.Copy(f, io.TeeReader(in, counter(progress)))
		return err
	})
}

type counter func(n int64)

func (c counter) Write(b []byte) (int, error) {
	if c != nil {
		c(int64(len(b)))
	}
	return len(b), nil
}

// moveAside renames the database with what belongs to it. The write-ahead log
// goes first: without its database it is refused, the database without it
// would be opened without its last commits.
func moveAside(path string, now time.Time) (string, error) {
	aside := path + ".old-" + now.UTC().Format("20060102-150405")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := ignoreMissing(os.Rename(path+suffix, aside+suffix)); err != nil {
			return "", err
		}
	}
	return aside, nil
}

// Rollback puts the copy from before the last upgrade back, see [Restore].
func Rollback(ctx context.Context, dir string, now time.Time) (aside string, b Backup, err error) {
	path := filepath.Join(dir, SnapshotName)
	if b, err = Inspect(ctx, path); err != nil {
		return "", b, err
	}
	aside, err = Restore(dir, path, true, now, nil)
	return aside, b, err
}
