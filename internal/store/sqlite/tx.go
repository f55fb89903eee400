package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// txBuffer is memory that one transaction leaves to the next.
type txBuffer struct {
	batch    batch
	messages []*trefoil.Message
	refs     []*serie
}

// tx is the write transaction. What it appends waits in messages and refs and
// gets into the heads after the commit, so that nobody sees a reading that is
// not durable and a rollback has nothing to take back.
type tx struct {
	s      *Store
	w      *writer
	batch  batch
	list   []*trefoil.Message
	refs   []*serie // one for each reading of list
	change change
	rows   uint64 // of the log that are written already, see maxRow
	doubt  bool   // SQLite may have undone the transaction, see lost
	fault  error  // after which the transaction can only be rolled back
	ended  bool
}

// change is what a transaction does to the index.
type change struct {
	devices map[trefoil.DeviceID]*device // as they will be
	added   []*serie
	dropped map[*serie]bool
}

func (c change) clone() change {
	return change{devices: maps.Clone(c.devices), added: slices.Clone(c.added), dropped: maps.Clone(c.dropped)}
}

var errEnded = errors.New("the transaction has ended")

// Begin opens the write transaction.
func (s *Store) Begin(ctx context.Context) (store.Tx, error) {
	w, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	t := &tx{s: s, w: w, batch: s.buffer.batch, list: s.buffer.messages, refs: s.buffer.refs}
	t.batch.reset()
	return t, nil
}

// Append adds the readings of m.
func (t *tx) Append(m *trefoil.Message) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := validate(m.Readings); err != nil {
		return err
	}
	refs := t.resolve(m)
	if slices.Contains(refs, nil) {
		if err := t.create(m, refs); err != nil {
			return err
		}
	}
	for i := range m.Readings {
		r := &m.Readings[i]
		t.batch.add(refs[i].id, r.Time, r.Value)
	}
	t.refs = t.refs[:len(t.refs)+len(refs)]
	t.list = append(t.list, m)
	if len(t.batch.buf) >= maxRow {
		return t.writeRow()
	}
	return nil
}

// maxRow is the size from which on what a transaction appended gets a row of
// the log. A commit mostly is one row; SQLite refuses rows of a gigabyte.
const maxRow = 8 << 20

// writeRow writes what was appended since the last row.
func (t *tx) writeRow() error {
	seq := t.s.seq.Load() + t.rows + 1
	if _, err := t.w.insertLog.Exec(int64(seq), t.batch.seal()); err != nil {
		return t.fail(fmt.Errorf("write the log: %w", err))
	}
	t.rows++
	t.batch.reset()
	return nil
}

// resolve gives the series of each reading of m, nil for those that do not
// exist. They stand behind the end of t.refs.
func (t *tx) resolve(m *trefoil.Message) []*serie {
	d := t.device(m.Device)
	refs := t.refs
	next := 0
	for i := range m.Readings {
		ref, at := d.find(m.Readings[i].Metric, next)
		refs = append(refs, ref)
		next = at + 1
	}
	start := len(t.refs)
	t.refs = refs[:start]
	return refs[start:]
}

func (t *tx) device(id trefoil.DeviceID) *device {
	if d, ok := t.change.devices[id]; ok {
		return d
	}
	return t.s.devices[id]
}

func (t *tx) usable() error {
	if t.ended {
		return errEnded
	}
	return t.fault
}

// Commit makes the transaction durable, then visible.
func (t *tx) Commit(ctx context.Context) (trefoil.Seq, error) {
	if t.ended {
		return 0, errEnded
	}
	if err := t.write(ctx); err != nil {
		return 0, errors.Join(fmt.Errorf("commit: %w", err), t.Rollback())
	}
	seq := t.s.seq.Load() + t.rows
	t.s.publish(t, seq)
	t.end()
	return trefoil.Seq(seq), nil
}

func (t *tx) write(ctx context.Context) error {
	if t.fault != nil {
		return t.fault
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.doubt && t.lost() {
		return errLost
	}
	if t.rows == 0 || !t.batch.empty() {
		if err := t.writeRow(); err != nil {
			return err
		}
	}
	return t.w.exec(ctx, "commit")
}

// publish makes a durable transaction visible to readers.
func (s *Store) publish(t *tx, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publishChange(t.change)
	var grown int64
	refs := t.refs
	for _, m := range t.list {
		for i := range m.Readings {
			if r := &m.Readings[i]; t.change.dropped == nil || !t.change.dropped[refs[i]] {
				grown += refs[i].append(r.Time, r.Value)
			}
		}
		refs = refs[len(m.Readings):]
	}
	s.headBytes.Add(grown)
	s.seq.Store(seq)
}

func (s *Store) publishChange(c change) {
	for id, d := range c.devices {
		if d == nil {
			delete(s.devices, id)
		} else {
			s.devices[id] = d
		}
	}
	s.all = append(s.all, c.added...)
	if len(c.dropped) == 0 {
		return
	}
	s.all = slices.DeleteFunc(s.all, func(x *serie) bool { return c.dropped[x] })
	for x := range c.dropped {
		s.headBytes.Add(-x.bytes)
		s.upkeep.sweep = append(s.upkeep.sweep, x.id)
	}
}

// Rollback undoes the transaction.
func (t *tx) Rollback() error {
	if t.ended {
		return nil
	}
	t.end()
	return t.s.rollback(t.w)
}

// end gives the memory of the transaction back, without what it refers to.
func (t *tx) end() {
	t.ended = true
	clear(t.list)
	clear(t.refs)
	if cap(t.batch.buf) > maxRow {
		t.batch.buf = nil
	}
	t.s.buffer = txBuffer{batch: t.batch, messages: t.list[:0], refs: t.refs[:0]}
}

// fail remembers that the transaction can only be rolled back.
func (t *tx) fail(err error) error {
	t.fault = err
	return err
}

func validate(readings []trefoil.Reading) error {
	for i := range readings {
		r := &readings[i]
		if !r.Value.Valid() {
			return trefoil.Errorf(trefoil.CodeInvalid, "metric %q: the value cannot be stored; allowed are finite numbers, booleans, and UTF-8 texts of at most %d bytes", r.Metric, trefoil.MaxText)
		}
		if r.Time < minTime || r.Time >= maxTime {
			return trefoil.Errorf(trefoil.CodeInvalid, "metric %q: the time %d µs is outside of the years 1100 to 2900", r.Metric, r.Time)
		}
	}
	return nil
}
