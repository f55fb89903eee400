// Package transfer moves everything from one store to another: all rows of
// the shared tables and all readings, over the contract of internal/store
// alone, so that it works from SQLite to PostgreSQL and back.
//
// Nobody else may use either store meanwhile. Readings are moved series by
// series; how far it has come is committed together with them, so that a
// transfer that was interrupted in any way goes on where it was. At the end
// everything is read back from both stores and compared.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Target is a store that can be moved to.
type Target interface {
	store.Store

	// ContinueAfter lets the numbers of commits go on above seq. It is called
	// while there are no readings.
	ContinueAfter(ctx context.Context, seq trefoil.Seq) error
}

// Options are given to [Run].
type Options struct {
	// Progress is told how far it is, after every batch and series; nil: nobody
	// is. It keeps the transfer waiting.
	Progress func(Progress)
}

// Step is what a transfer does.
type Step string

// The steps, in their order.
const (
	CopyRows     Step = "copy tables"
	CopyReadings Step = "copy readings"
	Compare      Step = "compare"
)

// Progress is how far a step is.
type Progress struct {
	Step                  Step
	Series, AllSeries     int   // done, and of how many
	Readings, AllReadings int64 // done, in earlier runs too, and about how many there are
}

// Summary is what a transfer did, and what the comparison found equal.
type Summary struct {
	Resumed    bool  // an interrupted one went on
	Again      bool  // the source had changed since the interrupted one, so it began anew
	Tables     int   // with rows
	Rows       int64 // of all tables
	Series     int   // with readings
	Empty      int   // series without readings, which the target does not have
	Readings   int64
	Summarized int64 // readings of which the source has only summaries of hours left; they stay behind
	Seq        trefoil.Seq

	Copied      int64         // readings that this run moved
	CopyTime    time.Duration // in which it did that
	CompareTime time.Duration
}

// NotEmptyError refuses a target that holds something already.
type NotEmptyError struct{ What string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("the target is not empty: it has %s. If a move into it has ended, there is nothing left to do; otherwise name an empty database", e.What)
}

// InterruptedError ends a transfer that goes on with the next run.
type InterruptedError struct {
	Readings int64 // moved so far
	Err      error
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("%v; %d readings are moved so far: run the same command again, and it goes on from there", e.Err, e.Readings)
}

func (e *InterruptedError) Unwrap() error { return e.Err }

// transfer is one run.
type transfer struct {
	from    store.Store
	to      Target
	tell    func(Progress)
	seed    maphash.Seed
	tables  []table // that are copied
	version int64   // of the tables
	series  []key   // of the source, in order
	about   int64   // readings, estimated
	state   state
	summary Summary
}

// Run moves everything that from holds to to, of which source is the name of
// what is moved: a transfer that was interrupted goes on only with the same
// source in the same state, and begins anew otherwise.
//
// A target that holds anything else is a [NotEmptyError]. After an
// [InterruptedError] the target is incomplete, and [Unfinished] says so, until
// another run has ended.
func Run(ctx context.Context, source string, from store.Store, to Target, o Options) (Summary, error) {
	t := &transfer{from: from, to: to, tell: o.Progress, seed: maphash.MakeSeed()}
	if t.tell == nil {
		t.tell = func(Progress) {}
	}
	if err := t.prepare(ctx, fmt.Sprintf("%s at commit %d", source, from.Seq())); err != nil {
		return t.summary, err
	}
	for _, step := range []func(context.Context) error{t.moveRows, t.moveReadings, t.settle, t.compare, t.finish} {
		if err := step(ctx); err != nil {
			var differs *DifferenceError
			if errors.As(err, &differs) {
				return t.summary, err
			}
			return t.summary, &InterruptedError{Readings: t.state.readings, Err: err}
		}
	}
	return t.summary, nil
}

// prepare finds out what is to be done, and refuses what must not be done.
func (t *transfer) prepare(ctx context.Context, source string) (err error) {
	if t.tables, err = copiedTables(ctx); err != nil {
		return err
	}
	if err := Unfinished(ctx, t.from.Rows()); err != nil {
		return fmt.Errorf("the source is not complete: %w", err)
	}
	if err := t.survey(ctx); err != nil {
		return fmt.Errorf("look at the source: %w", err)
	}
	if err := t.resume(ctx, source); err != nil {
		return err
	}
	if t.state.readings > 0 {
		return nil // it was done before the first of them
	}
	return t.to.ContinueAfter(ctx, t.from.Seq())
}

// resume finds out how far an earlier run came, or begins.
func (t *transfer) resume(ctx context.Context, source string) error {
	found, err := underWay(ctx, t.to.Rows())
	if err != nil {
		return err
	}
	if !found {
		if err := t.refuseOccupied(ctx); err != nil {
			return err
		}
		return t.change(ctx, func(w store.Writer) error { return t.state.begin(ctx, w, source) })
	}
	if t.state, err = loadState(ctx, t.to.Rows()); err != nil {
		return err
	}
	t.summary.Resumed = true
	if t.state.source == source {
		return nil
	}
	t.summary.Again = true
	return t.beginAnew(ctx, source)
}

// survey lists what the source has.
func (t *transfer) survey(ctx context.Context) (err error) {
	if t.series, err = seriesOf(ctx, t.from.Rows()); err != nil {
		return err
	}
	stats, err := t.from.Stats(ctx)
	if err != nil {
		return err
	}
	t.about = stats.Readings
	return t.from.Rows().QueryRowContext(ctx, "select max(version) from schema_version where part = $1",
		store.RowMigrations().Part).Scan(&t.version)
}

func (t *transfer) refuseOccupied(ctx context.Context) error {
	for _, tab := range t.tables {
		n, err := count(ctx, t.to.Rows(), tab.name)
		if err != nil {
			return fmt.Errorf("look into table %s of the target: %w", tab.name, err)
		}
		if n > tab.fresh {
			return &NotEmptyError{What: "rows in table " + tab.name}
		}
	}
	n, err := count(ctx, t.to.Rows(), "series")
	if err == nil && n > 0 {
		err = &NotEmptyError{What: fmt.Sprintf("%d series", n)}
	}
	return err
}

// beginAnew removes what an earlier run has moved. Rows are removed before
// they are copied.
func (t *transfer) beginAnew(ctx context.Context, source string) error {
	series, err := seriesOf(ctx, t.to.Rows())
	if err != nil {
		return err
	}
	err = t.change(ctx, func(w store.Writer) error {
		for i, k := range series {
			if i > 0 && series[i-1].device == k.device {
				continue
			}
			if err := w.DropSeries(ctx, k.device); err != nil {
				return err
			}
		}
		return t.state.begin(ctx, w, source)
	})
	if err != nil {
		return err
	}
	return t.settle(ctx) // gives back what was dropped
}

func (t *transfer) moveRows(ctx context.Context) error {
	if t.state.version == t.version {
		return nil
	}
	t.tell(Progress{Step: CopyRows, AllSeries: len(t.series), AllReadings: t.about})
	return t.copyRows(ctx)
}

// settle lets the target bring what it got into its lasting form.
func (t *transfer) settle(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = t.to.Maintain(ctx, upkeep); err != nil {
			return fmt.Errorf("settle the target: %w", err)
		}
	}
	return nil
}

func (t *transfer) finish(ctx context.Context) error {
	err := t.change(ctx, func(w store.Writer) error { return t.state.end(ctx, w) })
	t.summary.Seq = t.to.Seq()
	return err
}

// change runs fn in a transaction of the target.
func (t *transfer) change(ctx context.Context, fn func(store.Writer) error) error {
	tx, err := t.to.Begin(ctx)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	_, err = tx.Commit(ctx)
	return err
}
