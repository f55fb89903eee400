// Package store says what a database engine of Trefoil must do. Engines are
// in internal/store/sqlite and internal/store/postgres; internal/store/storetest
// holds the suite that each of them passes.
//
// One process writes through one goroutine, the commit loop of
// internal/ingest: it begins a transaction, appends readings, runs changes of
// rows, commits, and begins the next. Everybody may read at any time and sees
// what is committed.
//
// Readings have an engine-specific form. Everything else (devices, users,
// sessions, ledger …) is plain rows that the package of the noun reads and
// writes with SQL of its own, in the dialect that SQLite and PostgreSQL share:
// $1 placeholders, "on conflict … do update", "returning", bigint, double
// precision, text, boolean, and blobs as [Blob]. The tables are made by the
// migrations in this package.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Querier reads and writes rows. *sql.DB, *sql.Conn and *sql.Tx satisfy it.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Writer changes rows inside the write transaction, and can do with a
// device's series what is part of such a change.
type Writer interface {
	Querier

	// DropSeries removes all series of the device.
	DropSeries(ctx context.Context, device trefoil.DeviceID) error
}

// Store is one open database.
type Store interface {
	// Begin opens the write transaction. Its only caller is the commit loop,
	// which ends it before it begins another one. After a commit that is in
	// doubt, see [ErrInDoubt], Begin finds out first whether it happened: if
	// so, it returns a [LandedError] once and opens no transaction; as long as
	// it cannot tell, its error is ErrInDoubt again.
	Begin(ctx context.Context) (Tx, error)

	// Rows reads what is committed. It must not be used to write.
	Rows() Querier

	// Latest gives the newest reading of every metric of the device, sorted by
	// metric; none for a device without readings.
	Latest(ctx context.Context, device trefoil.DeviceID) ([]trefoil.Reading, error)

	// Metrics gives the names of all metrics of the device, sorted.
	Metrics(ctx context.Context, device trefoil.DeviceID) ([]string, error)

	// Read visits the readings of one series in ascending order of time, see
	// [ReadRequest]. It sees one state of the series: what was committed when
	// it was called. An error of visit ends it and is returned as it is. A
	// series that does not exist has no readings.
	Read(ctx context.Context, r ReadRequest, visit func(Block) error) error

	// Maintain does upkeep that is due, such as moving readings to their
	// lasting form, in short transactions of its own, and returns after about
	// budget. It reports whether more is due. The commit loop calls it between
	// transactions, nobody else does: after a commit with a small budget, about
	// once a second while there is nothing to commit, and at once again while
	// more is due and no message waits. It returns quickly when nothing is due.
	// An error leaves the store as it was; a later call tries again.
	Maintain(ctx context.Context, budget time.Duration) (more bool, err error)

	// Seq is the number of the last commit, 0 in a new database.
	Seq() trefoil.Seq

	// Stats tells about size and state, for /metrics and the storage page.
	Stats(ctx context.Context) (Stats, error)

	// Close ends the store. The transaction must have ended. A store that was
	// not closed opens again with everything that was committed.
	Close() error
}

// Tx is the write transaction. Not for concurrent use.
type Tx interface {
	Writer

	// Append adds the readings of m. A reading of the same series and time as
	// an earlier one replaces it. The engine reads m until the transaction has
	// ended and keeps no reference to it afterwards. A refusal that concerns
	// only m is a [trefoil.Error], with code too_many for the limit of metrics
	// of a device and invalid for a value or time that cannot be stored:
	// nothing of m is in the transaction then, and the transaction goes on.
	// After any other error the transaction can only be rolled back.
	Append(m *trefoil.Message) error

	// Savepoint runs fn so that an error of it undoes what fn wrote, and only
	// that. It returns the error of fn.
	Savepoint(ctx context.Context, fn func(Writer) error) error

	// Commit makes the transaction durable and returns its number. After nil,
	// the data survives the loss of power. After an error nothing is stored,
	// unless it is [ErrInDoubt].
	Commit(ctx context.Context) (trefoil.Seq, error)

	// Rollback undoes the transaction. After Commit it does nothing.
	Rollback() error
}

// ErrInDoubt is in the chain of an error of Commit when the connection to the
// database was lost while the commit was on its way: nobody knows whether it
// happened. Who wants the same changes again calls Begin, which finds out;
// whoever gave them must not be told that they are not stored.
var ErrInDoubt = errors.New("the connection was lost during a commit, and whether it happened is not known yet")

// LandedError says that the commit that was in doubt happened. What it holds
// is durable and must not be applied again.
type LandedError struct {
	Seq trefoil.Seq // of that commit
}

func (e *LandedError) Error() string {
	return fmt.Sprintf("commit %d happened although the connection was lost", e.Seq)
}

// ReadRequest asks for a half-open range [From, To) of one series.
//
// With Resolution 0 every block has all its samples. Otherwise an engine may
// answer with summaries only (Samples nil) for readings that lie between two
// neighbouring multiples of Resolution (counted from the Unix epoch), so that
// a caller who needs sums over buckets aligned to Resolution does not read
// single readings. Engines are free to give samples all the same.
//
// Of readings that retention has removed but for summaries of UTC hours, these
// summaries come where Resolution is a multiple of an hour and the range has
// all readings of that hour; otherwise nothing of them comes.
//
// With Reverse blocks and their samples come in descending order of time.
type ReadRequest struct {
	Device     trefoil.DeviceID
	Metric     string
	From, To   trefoil.Instant
	Resolution time.Duration
	Reverse    bool
}

// Sample is a time and a value.
type Sample struct {
	Time  trefoil.Instant
	Value trefoil.Value
}

// Block is a run of readings of one series. Min, Max and Sum are over
// Value.Float and so 0 for texts. The block and its samples belong to the
// engine; they are valid until visit returns.
type Block struct {
	Count         int
	Min, Max, Sum float64
	First, Last   Sample // by time
	Samples       []Sample
}

// Stats is what a store tells about itself.
type Stats struct {
	Engine    string // "sqlite" or "postgres"
	Bytes     int64  // on disk, everything included
	Series    int64
	Readings  int64 // stored now, an estimate where counting is dear
	HeadBytes int64 // memory that readings take which are not yet in chunks; 0 where there are none
}

// Options are given to an engine when it opens.
type Options struct {
	// MaxMetrics is the largest number of metrics of one device; 0 means
	// DefaultMaxMetrics.
	MaxMetrics int

	// HeadBytes is the memory that readings may take before an engine that
	// keeps new readings in memory moves them to disk in a hurry; 0 means
	// DefaultHeadBytes.
	HeadBytes int64

	// Now tells the time by which upkeep is due; nil means time.Now.
	Now func() time.Time

	// Keep says how long the readings of a series are kept; nil keeps all for
	// ever. Maintain asks it for every series about once an hour.
	Keep func(device trefoil.DeviceID, metric string) Retention

	// Disk tells about the file system of the database, and MaxDisk is the
	// share of it, 0 to 1, above which the oldest partitions go although they
	// are to be kept. Nil or 0: nothing goes for that reason.
	Disk    func() (Disk, error)
	MaxDisk float64
}

// Defaults of [Options].
const (
	DefaultMaxMetrics = 500
	DefaultHeadBytes  = 64 << 20
)

// WithDefaults gives o with its zero fields set to the defaults.
func (o Options) WithDefaults() Options {
	if o.MaxMetrics == 0 {
		o.MaxMetrics = DefaultMaxMetrics
	}
	if o.HeadBytes == 0 {
		o.HeadBytes = DefaultHeadBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
