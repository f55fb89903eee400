package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// tx is the write transaction. What it appends waits in rows until the
// commit, which writes it with few statements.
type tx struct {
	s      *Store
	w      *writer
	rows   []row
	fresh  []*serie
	change change
	fault  error // after which the transaction can only be rolled back
	ended  bool
}

var errEnded = errors.New("the transaction has ended")

// Begin opens the write transaction. Before that it finds out about a commit
// that is in doubt.
func (s *Store) Begin(ctx context.Context) (store.Tx, error) {
	if err := s.resolve(ctx); err != nil {
		return nil, err
	}
	w, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	return &tx{s: s, w: w, rows: s.buffer.rows[:0]}, nil
}

// Append adds the readings of m.
func (t *tx) Append(m *trefoil.Message) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := validate(m); err != nil {
		return err
	}
	start := len(t.rows)
	d, next, missing := t.device(m.Device), 0, false
	for i := range m.Readings {
		r := &m.Readings[i]
		x, at := d.find(r.Metric, next)
		next = at + 1
		missing = missing || x == nil
		t.rows = append(t.rows, row{series: x, time: r.Time, value: r.Value})
	}
	if !missing {
		return nil
	}
	if err := t.create(m, t.rows[start:]); err != nil {
		t.rows = t.rows[:start]
		return err
	}
	return nil
}

func (t *tx) device(id trefoil.DeviceID) *device {
	if d, ok := t.change.devices[id]; ok {
		return d
	}
	return t.s.known.devices[id]
}

// create makes the series that the rows of m need; the database gets them
// with the commit. It refuses a message that would give the device more
// metrics than it may have.
func (t *tx) create(m *trefoil.Message, rows []row) error {
	d := t.device(m.Device)
	added := map[string]*serie{}
	list := slices.Clone(d.list())
	for i := range rows {
		if rows[i].series != nil {
			continue
		}
		x := added[m.Readings[i].Metric]
		if x == nil {
			x = &serie{device: trefoil.DeviceID(strings.Clone(string(m.Device))), metric: strings.Clone(m.Readings[i].Metric)}
			added[x.metric] = x
			list = append(list, x)
		}
		rows[i].series = x
	}
	if have, limit := len(d.list()), t.s.options.MaxMetrics; len(list) > limit {
		return trefoil.Errorf(trefoil.CodeTooMany, "device %s has %d metrics and the message brings %d new ones; at most %d metrics per device are allowed",
			m.Device, have, len(added), limit)
	}
	t.change.set(trefoil.DeviceID(strings.Clone(string(m.Device))), newDevice(list))
	return nil
}

// DropSeries removes all series of the device. Their readings are out of
// sight at once and leave the tables with later upkeep.
func (t *tx) DropSeries(ctx context.Context, id trefoil.DeviceID) error {
	if err := errors.Join(t.usable(), ctx.Err()); err != nil {
		return err
	}
	for _, query := range []string{
		"insert into dropped_series (id) select id from series where device = $1",
		"delete from latest where series_id in (select id from series where device = $1)",
		"delete from series where device = $1",
	} {
		if _, err := t.ExecContext(ctx, query, string(id)); err != nil {
			return t.fail(fmt.Errorf("drop the series of device %s: %w", id, err))
		}
	}
	// A copy, as a savepoint may return to the rows as they are.
	t.rows = slices.DeleteFunc(slices.Clone(t.rows), func(r row) bool { return r.series.device == id })
	t.change.set(id, nil)
	t.change.dropped = true
	return nil
}

// Savepoint runs fn so that an error of it undoes what it wrote.
func (t *tx) Savepoint(ctx context.Context, fn func(store.Writer) error) error {
	if err := t.usable(); err != nil {
		return err
	}
	if _, err := t.w.exec(ctx, "savepoint change"); err != nil {
		return t.fail(fmt.Errorf("set a savepoint: %w", err))
	}
	rows, before := t.rows, t.change.clone()
	if err := fn(t); err != nil {
		t.rows, t.change = rows, before
		if _, undo := t.w.exec(ctx, "rollback to change; release change"); undo != nil {
			return errors.Join(err, t.fail(fmt.Errorf("return to a savepoint: %w", undo)))
		}
		t.fault = nil // if it was of a statement inside
		return err
	}
	if _, err := t.w.exec(ctx, "release change"); err != nil {
		return t.fail(fmt.Errorf("release a savepoint: %w", err))
	}
	return nil
}

// Rollback undoes the transaction.
func (t *tx) Rollback() error {
	if !t.ended {
		t.end()
		t.s.rollback(t.w)
	}
	return nil
}

// end gives the memory of the transaction back, without what it refers to.
func (t *tx) end() {
	t.ended = true
	clear(t.rows)
	t.s.buffer.rows = t.rows[:0]
}

func (t *tx) usable() error {
	if t.ended {
		return errEnded
	}
	return t.fault
}

// fail remembers that the transaction can only be rolled back.
func (t *tx) fail(err error) error {
	t.fault = err
	return err
}

func (t *tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := errors.Join(t.usable(), ctx.Err()); err != nil {
		return nil, err
	}
	return t.w.conn.ExecContext(context.WithoutCancel(ctx), query, storableArgs(args)...)
}

func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := errors.Join(t.usable(), ctx.Err()); err != nil {
		return nil, err
	}
	return t.w.conn.QueryContext(context.WithoutCancel(ctx), query, storableArgs(args)...)
}

func (t *tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.w.conn.QueryRowContext(context.WithoutCancel(ctx), query, storableArgs(args)...)
}

// validate refuses what the database would refuse, which would fail the whole
// transaction.
func validate(m *trefoil.Message) error {
	if storable(string(m.Device)) != string(m.Device) {
		return trefoil.Errorf(trefoil.CodeInvalid, "device id %q cannot be stored", m.Device)
	}
	for i := range m.Readings {
		r := &m.Readings[i]
		switch {
		case !r.Value.Valid():
			return trefoil.Errorf(trefoil.CodeInvalid, "metric %q: the value cannot be stored; allowed are finite numbers, booleans, and UTF-8 texts of at most %d bytes", r.Metric, trefoil.MaxText)
		case r.Time < minTime || r.Time >= maxTime:
			return trefoil.Errorf(trefoil.CodeInvalid, "metric %q: the time %d µs is outside of the years 1100 to 2900", r.Metric, r.Time)
		case strings.IndexByte(r.Metric, 0) >= 0 || !utf8.ValidString(r.Metric):
			return trefoil.Errorf(trefoil.CodeInvalid, "metric %q: the name is not UTF-8 without zero bytes", r.Metric)
		}
	}
	return nil
}
