// Package postgres is the engine of internal/store for those who outgrow one
// file: PostgreSQL 14 or later. Readings are plain rows, partitioned by time,
// that Grafana and SQL users read through the views readings and
// latest_readings. DESIGN.md has the reasons and the figures.
package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database. It satisfies [store.Store].
type Store struct {
	name    string // of this process in the database, see newName
	options store.Options
	logger  *slog.Logger

	readers  *pgxpool.Pool
	rows     *sql.DB // the same pool
	writerDB *sql.DB // exactly one connection

	seq atomic.Uint64

	// Owned by the goroutine of the commit loop.
	writer *writer     // nil after a fault, until Begin connects again
	doubt  trefoil.Seq // commit of which nobody knows whether it happened, or 0
	stale  bool        // what follows must be read again
	known  known
	upkeep upkeep
	buffer txBuffer
}

var _ store.Store = (*Store)(nil)

// Open connects to the database that url names and brings its tables to the
// newest version. It does not wait for a database that is away.
func Open(ctx context.Context, url string, options store.Options, logger *slog.Logger) (*Store, error) {
	c, err := parse(url)
	if err != nil {
		return nil, err
	}
	s := &Store{name: newName(), options: options.WithDefaults(), logger: logger, stale: true}
	s.writerDB = c.writer(s.name)
	if s.readers, err = c.readers(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make the pool of readers: %w", err), s.Close())
	}
	s.rows = stdlib.OpenDBFromPool(s.readers)
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(c.explain(err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := s.connectFirst(ctx); err != nil {
		return err
	}
	if err := s.checkServer(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	var seq int64
	if err := s.writer.conn.QueryRowContext(ctx, "select seq from commit_state").Scan(&seq); err != nil {
		return fmt.Errorf("read the number of the last commit: %w", err)
	}
	s.seq.Store(uint64(seq))
	return s.refresh(ctx)
}

// migrate makes and changes tables. A lock lets one process do it at a time.
func (s *Store) migrate(ctx context.Context) error {
	own, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	conn := s.writer.conn
	if _, err := conn.ExecContext(ctx, "select pg_advisory_lock($1)", lockMigration); err != nil {
		return fmt.Errorf("wait for the lock of migrations: %w", err)
	}
	err = store.Migrate(ctx, conn, store.Dialect{Blob: "bytea"}, store.RowMigrations(), store.Migrations{Part: "postgres", Files: own})
	_, unlock := conn.ExecContext(ctx, "select pg_advisory_unlock($1)", lockMigration)
	return errors.Join(err, unlock)
}

// Numbers of advisory locks: "trefoil" and a digit.
const (
	lockMigration = 0x74726566_6f696c_01
	lockPartition = 0x74726566_6f696c_02
	lockServer    = 0x74726566_6f696c_03
)

// Close ends the store.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.conn.Close())
		s.writer = nil
	}
	for _, db := range []*sql.DB{s.rows, s.writerDB} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.readers != nil {
		s.readers.Close()
	}
	return errors.Join(errs...)
}

// Rows reads what is committed.
func (s *Store) Rows() store.Querier { return s.rows }

// Seq is the number of the last commit of this process, or, before its first
// one, of the last commit when it opened the database.
func (s *Store) Seq() trefoil.Seq { return trefoil.Seq(s.seq.Load()) }
