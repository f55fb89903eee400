package ingest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Ledger counts, per device, the messages that were stored and those that
// were dropped, with the reason and a sample of the latest one. Received is
// the sum of both, so the equation received = stored + dropped holds at every
// moment.
//
// The commit loop writes what changed once a second. What was stored since is
// in the table ledger_commit, with one row per commit in the transaction of
// the messages themselves, so that a crash does not lose their counts.
type Ledger struct {
	now   func() time.Time
	meter Meter

	mu      sync.Mutex
	devices map[trefoil.DeviceID]*account
	dirty   []trefoil.DeviceID // accounts with changes, oldest first
	flushed time.Time
	commits commitCounts
}

// account is the ledger of one device.
type account struct {
	stored int64
	number int64 // of the last commit that its row contains
	drops  map[trefoil.DropReason]*trefoil.Drop
	dirty  bool
}

// Counts is the equation of one device, in messages.
type Counts struct {
	Received int64 `json:"received"`
	Stored   int64 `json:"stored"`
	Dropped  int64 `json:"dropped"`
}

// storedReason is the row of the ledger table that holds what was stored.
const storedReason = "stored"

// flushRows bounds the accounts that one flush writes.
const flushRows = 500

// NewLedger makes a ledger that goes on from what the rows of q say.
func NewLedger(ctx context.Context, q store.Querier, now func() time.Time, meter Meter) (*Ledger, error) {
	l := &Ledger{now: now, meter: meter, devices: make(map[trefoil.DeviceID]*account)}
	rows, err := q.QueryContext(ctx, `select device, reason, count, time, topic, detail, sample, number from ledger`)
	if err != nil {
		return nil, &trefoil.Error{Code: trefoil.CodeInternal, Message: "read the ledger", Cause: err}
	}
	defer rows.Close()
	for rows.Next() {
		var d trefoil.Drop
		var number int64
		if err := rows.Scan(&d.Device, &d.Reason, &d.Count, &d.Time, &d.Topic, &d.Detail, &d.Sample, &number); err != nil {
			return nil, &trefoil.Error{Code: trefoil.CodeInternal, Message: "read the ledger", Cause: err}
		}
		a := l.account(d.Device)
		if d.Reason == storedReason {
			a.stored, a.number = d.Count, number
			l.commits.last = max(l.commits.last, number)
			continue
		}
		a.drops[d.Reason] = &d
	}
	if err := rows.Err(); err != nil {
		return nil, &trefoil.Error{Code: trefoil.CodeInternal, Message: "read the ledger", Cause: err}
	}
	return l, l.replay(ctx, q)
}

func (l *Ledger) account(id trefoil.DeviceID) *account {
	a := l.devices[id]
	if a == nil {
		a = &account{drops: make(map[trefoil.DropReason]*trefoil.Drop)}
		l.devices[id] = a
	}
	return a
}

func (l *Ledger) touch(id trefoil.DeviceID, a *account) {
	if !a.dirty {
		a.dirty = true
		l.dirty = append(l.dirty, id)
	}
}

// Drop enters d. A Count of 0 means 1, a Time of 0 means now. It keeps a copy
// of the sample.
func (l *Ledger) Drop(d trefoil.Drop) {
	d.Count = max(d.Count, 1)
	if d.Time == 0 {
		d.Time = trefoil.InstantOf(l.now())
	}
	d.Sample = slices.Clone(d.Sample[:min(len(d.Sample), trefoil.MaxSample)])
	l.meter.Dropped(d.Reason, d.Count)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(d)
}

func (l *Ledger) enter(d trefoil.Drop) {
	a := l.account(d.Device)
	if before := a.drops[d.Reason]; before != nil {
		d.Count += before.Count
	}
	a.drops[d.Reason] = &d
	l.touch(d.Device, a)
}

// settle counts a batch whose fate is known.
func (l *Ledger) settle(batch []Write, outcomes []error) {
	now := trefoil.InstantOf(l.now())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commits.settle()
	for i, w := range batch {
		m := w.Message
		switch {
		case m == nil:
		case outcomes[i] == nil:
			a := l.account(m.Device)
			a.stored++
			l.touch(m.Device, a)
		default:
			reason := refusalReason(outcomes[i])
			l.meter.Dropped(reason, 1)
			l.enter(trefoil.Drop{Device: m.Device, Reason: reason, Time: now, Count: 1, Detail: outcomes[i].Error()})
		}
	}
}

func refusalReason(err error) trefoil.DropReason {
	switch trefoil.CodeOf(err) {
	case trefoil.CodeTooMany:
		return trefoil.DropTooMany
	case trefoil.CodeNotFound:
		return trefoil.DropUnknown
	default:
		return trefoil.DropRefused
	}
}

// Of gives the counts of a device and its drops, the latest first.
func (l *Ledger) Of(id trefoil.DeviceID) (Counts, []trefoil.Drop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.devices[id]
	if a == nil {
		return Counts{}, nil
	}
	c := Counts{Received: a.stored, Stored: a.stored}
	drops := make([]trefoil.Drop, 0, len(a.drops))
	for _, d := range a.drops {
		drops = append(drops, *d)
		if d.Reason.Dropped() {
			c.Dropped += d.Count
			c.Received += d.Count
		}
	}
	slices.SortFunc(drops, func(a, b trefoil.Drop) int { return cmp.Compare(b.Time, a.Time) })
	return c, drops
}

// Forget removes the account of a deleted device, in memory; its rows are
// removed with those of the device.
func (l *Ledger) Forget(id trefoil.DeviceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.devices, id)
}

// due reports whether there is something to write and a second has passed.
func (l *Ledger) due(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.dirty) > 0 && now.Sub(l.flushed) >= flushEvery
}

// flush makes a write of the accounts that changed, at most flushRows of them
// unless all is set.
func (l *Ledger) flush(now time.Time, all bool) (Write, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.dirty)
	if !all {
		n = min(n, flushRows)
	}
	if n == 0 {
		return Write{}, false
	}
	var rows []trefoil.Drop
	for _, id := range l.dirty[:n] {
		if a := l.devices[id]; a != nil {
			a.dirty = false
			rows = a.appendRows(rows, id)
		}
	}
	l.dirty = slices.Delete(l.dirty, 0, n)
	l.flushed = now
	number, needless := l.commits.flushed(n, len(l.dirty))
	return Write{
		Rows: func(ctx context.Context, w store.Writer) error {
			if err := writeLedger(ctx, w, rows, number); err != nil {
				return err
			}
			return forgetCommits(ctx, w, needless)
		},
		Done: func(_ trefoil.Seq, err error) {
			if err != nil {
				l.touchAgain(rows)
			}
		},
	}, true
}

// touchAgain lets a later flush write what this one could not.
func (l *Ledger) touchAgain(rows []trefoil.Drop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commits.begin(0)
	l.commits.needless = 0 // until these are written after all
	for _, d := range rows {
		if a := l.devices[d.Device]; a != nil {
			l.touch(d.Device, a)
		}
	}
}

func (a *account) appendRows(rows []trefoil.Drop, id trefoil.DeviceID) []trefoil.Drop {
	rows = append(rows, trefoil.Drop{Device: id, Reason: storedReason, Count: a.stored})
	for _, d := range a.drops {
		rows = append(rows, *d)
	}
	return rows
}

// writeLedger writes whole rows, so that writing them again changes nothing.
func writeLedger(ctx context.Context, w store.Writer, rows []trefoil.Drop, number int64) error {
	const upsert = `insert into ledger (device, reason, count, time, topic, detail, sample, number) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (device, reason) do update set count = excluded.count, time = excluded.time,
			topic = excluded.topic, detail = excluded.detail, sample = excluded.sample, number = excluded.number`
	for _, d := range rows {
		if d.Sample == nil {
			d.Sample = []byte{}
		}
		_, err := w.ExecContext(ctx, upsert, string(d.Device), string(d.Reason), d.Count, int64(d.Time), d.Topic, d.Detail, d.Sample, number)
		if err != nil {
			return &trefoil.Error{Code: trefoil.CodeInternal, Message: "write the ledger", Cause: err}
		}
	}
	return nil
}
