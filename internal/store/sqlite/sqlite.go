// Package sqlite is the default engine of internal/store: one SQLite file in
// the data directory, written in WAL mode with synchronous=FULL, so that a
// commit is on the disk when Commit returns. DESIGN.md explains the three
// forms that readings take: log, head and chunks.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// FileName is the name of the database inside the data directory. SQLite puts
// FileName-wal and FileName-shm beside it; they belong to it.
const FileName = "trefoil.db"

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database. It satisfies [store.Store].
type Store struct {
	path    string
	options store.Options
	logger  *slog.Logger
	lock    *lockFile
	opened  bool // everything is loaded
	codec   *series.Codec

	writerDB *sql.DB // exactly one connection
	writer   *writer // nil after a fault, until Begin makes a new one
	readers  *sql.DB

	seq       atomic.Uint64
	headBytes atomic.Int64
	summed    atomic.Int64 // readings of which only the summaries of hours are left

	// swap is held for writing while readings move from the head to chunks,
	// and for reading while a reader takes its view of both. It is taken
	// before mu.
	swap sync.RWMutex

	// mu guards the index and the heads. Only the goroutine of the commit loop
	// changes them, so it needs the lock for writing only.
	mu      sync.RWMutex
	devices map[trefoil.DeviceID]*device
	all     []*serie // ascending id
	parts   []part   // ascending, without those on their way out; replaced, never changed

	// Owned by the goroutine of the commit loop.
	nextID int64
	buffer txBuffer
	upkeep upkeep
}

var _ store.Store = (*Store)(nil)

// Open opens the database in the directory, which it makes if it is missing,
// and brings its tables to the newest version. A file that is there and
// cannot be read is an error; it is never replaced by an empty one. Only one
// process at a time can have a directory open.
func Open(ctx context.Context, dir string, options store.Options, logger *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := acquireLock(filepath.Join(dir, "trefoil.lock"))
	if err != nil {
		return nil, err
	}
	codec, err := series.NewCodec()
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	s := &Store{
		path:    filepath.Join(dir, FileName),
		options: options.WithDefaults(),
		logger:  logger,
		lock:    lock,
		codec:   codec,
		devices: map[trefoil.DeviceID]*device{},
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(explain(s.path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := checkFiles(s.path); err != nil {
		return err
	}
	var err error
	if s.writerDB, err = sql.Open("sqlite", dsn(s.path, "_pragma=wal_autocheckpoint(4000)&_txlock=immediate")); err != nil {
		return err
	}
	s.writerDB.SetMaxOpenConns(1)
	if s.readers, err = sql.Open("sqlite", dsn(s.path, "_pragma=query_only(1)")); err != nil {
		return err
	}
	s.readers.SetMaxOpenConns(4 + 2*runtime.GOMAXPROCS(0))
	s.readers.SetMaxIdleConns(4)

	own, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	dialect := store.Dialect{Blob: "blob"}
	parts := []store.Migrations{store.RowMigrations(), {Part: "sqlite", Files: own}}
	if err := s.snapshot(ctx, parts...); err != nil {
		return err
	}
	if err := store.Migrate(ctx, s.writerDB, dialect, parts...); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	s.opened = true
	return nil
}

// dsn names the file with the settings that every connection needs.
func dsn(path, more string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	u.RawQuery = "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&" + more
	return u.String()
}

// Close ends the store and lets another process open the directory.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
		s.writer = nil
	}
	errs = append(errs, s.closedCleanly())
	s.opened = false
	for _, db := range []*sql.DB{s.readers, s.writerDB} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	s.codec.Close()
	errs = append(errs, s.lock.release())
	return errors.Join(errs...)
}

// Rows reads what is committed.
func (s *Store) Rows() store.Querier { return s.readers }

// Seq is the number of the last commit.
func (s *Store) Seq() trefoil.Seq { return trefoil.Seq(s.seq.Load()) }
