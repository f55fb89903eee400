package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

const (
	flushEvery = time.Second           // of the ledger
	firstRetry = 50 * time.Millisecond // after a failed commit, doubling
	lastRetry  = 5 * time.Second       // the longest pause between tries
	upkeepBusy = 2 * time.Millisecond  // of the store's upkeep between two commits
	upkeepIdle = 20 * time.Millisecond // of the same while nobody waits for a commit
)

// Run is the commit loop. It returns after Stop, when everything accepted is
// settled. The store stays open.
func (l *Loop) Run() {
	// Commits must not be cut off half way by whoever stops the process, and
	// a context that can end costs a goroutine per statement.
	ctx := context.Background()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var batch, spare []Write
	more := false
	for open := true; open; {
		batch, open = l.queue.take(spare, tick.C, more)
		batch = l.withLedger(batch, !open)
		if len(batch) > 0 {
			l.commit(ctx, batch)
		}
		more = l.upkeep(ctx, len(batch) == 0)
		clear(batch) // lets go of what the closures hold
		spare = batch
	}
}

// withLedger adds the write of the ledger's changes when it is time.
func (l *Loop) withLedger(batch []Write, last bool) []Write {
	now := l.Now()
	if !last && !l.Ledger.due(now) {
		return batch
	}
	if w, ok := l.Ledger.flush(now, last); ok {
		batch = append(batch, w)
	}
	return batch
}

// upkeep gives the store a slice of time for its own order, such as turning
// its log into chunks, and reports whether it wants another one soon.
func (l *Loop) upkeep(ctx context.Context, idle bool) (more bool) {
	slice := upkeepBusy
	if idle {
		slice = upkeepIdle
	}
	more, err := l.Store.Maintain(ctx, slice)
	if err != nil && !l.upkeepFailed {
		l.Log.Error("the store's upkeep fails; it is tried again by itself", "error", err)
	}
	l.upkeepFailed = err != nil
	return more && err == nil
}

// commit makes the batch durable, however long it takes, and settles it.
func (l *Loop) commit(ctx context.Context, batch []Write) {
	pause := firstRetry
	for {
		began := l.Now()
		seq, err := l.attempt(ctx, batch)
		var landed *store.LandedError
		if errors.As(err, &landed) { // the try before this one was stored, with its outcomes
			seq, err = landed.Seq, nil
		}
		if err == nil {
			l.recovered()
			l.settle(seq, batch, l.Now().Sub(began))
			return
		}
		l.fail(err)
		if !errors.Is(err, store.ErrInDoubt) {
			leave(batch)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, lastRetry)
		case <-l.stop:
			l.giveUp(batch, err)
			return
		}
	}
}

// leave lets callers take their writes back until the next try.
func leave(batch []Write) {
	for _, w := range batch {
		w.gate.leave()
	}
}

// attempt applies all writes of the batch in one transaction. The refusals of
// single writes are in l.outcomes afterwards.
func (l *Loop) attempt(ctx context.Context, batch []Write) (trefoil.Seq, error) {
	tx, err := l.Store.Begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin a transaction: %w", err)
	}
	l.outcomes = l.outcomes[:0]
	for _, w := range batch {
		refusal, err := l.apply(ctx, tx, w)
		if err != nil {
			return 0, errors.Join(fmt.Errorf("append readings: %w", err), tx.Rollback())
		}
		l.outcomes = append(l.outcomes, refusal)
	}
	if err := l.Ledger.commits.record(ctx, tx, batch, l.outcomes); err != nil {
		return 0, errors.Join(err, tx.Rollback())
	}
	seq, err := tx.Commit(ctx)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("commit: %w", err), tx.Rollback())
	}
	return seq, nil
}

// apply puts one write into the transaction. A refusal concerns this write
// only; an error ends the transaction.
func (l *Loop) apply(ctx context.Context, tx store.Tx, w Write) (refusal, err error) {
	switch {
	case !w.gate.enter():
		return errAbandoned, nil
	case w.Message != nil && !l.Known(w.Message.Device):
		return errUnknown, nil
	case w.Rows == nil:
		return appendReadings(tx, w.Message)
	}
	refusal = tx.Savepoint(ctx, func(sw store.Writer) error {
		if refusal := w.Rows(ctx, sw); refusal != nil {
			return refusal
		}
		refusal, fault := appendReadings(tx, w.Message)
		err = fault
		if fault != nil {
			return fault
		}
		return refusal
	})
	return refusal, err
}

// appendReadings appends m, if there is any. A refusal concerns m only.
func appendReadings(tx store.Tx, m *trefoil.Message) (refusal, err error) {
	if m == nil || len(m.Readings) == 0 {
		return nil, nil
	}
	err = tx.Append(m)
	switch trefoil.CodeOf(err) {
	case trefoil.CodeTooMany, trefoil.CodeInvalid:
		return err, nil
	default:
		return nil, err
	}
}

// settle tells everybody, in the order of the package's design.
func (l *Loop) settle(seq trefoil.Seq, batch []Write, took time.Duration) {
	readings := 0
	l.stored = l.stored[:0]
	for i, w := range batch {
		if w.Message != nil && l.outcomes[i] == nil {
			l.stored = append(l.stored, w.Message)
			readings += len(w.Message.Readings)
		}
	}
	l.Meter.Committed(took, len(l.stored), readings)
	l.Ledger.settle(batch, l.outcomes)
	for i, w := range batch {
		if l.outcomes[i] != nil {
			w.done(0, l.outcomes[i])
			continue
		}
		w.done(seq, nil)
	}
	at := trefoil.InstantOf(l.Now())
	for _, o := range l.Observers {
		o.Committed(seq, at, l.stored)
	}
	for _, w := range batch {
		if w.Message != nil {
			l.recycle(w.Message)
		}
	}
	clear(l.stored)
}

func (l *Loop) fail(err error) {
	if l.failing.Swap(&failure{err}) == nil {
		l.Log.Error("storing fails; nothing is acknowledged until it works again, and it is tried again by itself", "error", err)
	}
	l.Meter.CommitFailed()
}

func (l *Loop) recovered() {
	if l.failing.Swap(nil) != nil {
		l.Log.Info("storing works again")
	}
}

// giveUp tells the senders of a batch that the process stops without having
// stored it. Nothing of it was acknowledged.
func (l *Loop) giveUp(batch []Write, cause error) {
	l.Log.Error("stopping with writes that could not be stored; none of them was acknowledged", "writes", len(batch), "error", cause)
	for _, w := range batch {
		w.done(0, &trefoil.Error{Code: trefoil.CodeUnavailable, Message: "the server stopped before it could store this", Cause: cause})
	}
}
