package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil"
)

const (
	sweepRows  = 2000                // readings of dropped series that one statement deletes
	sweepEvery = time.Minute         // how often dropped series are looked for that another process left
	forget     = 30 * 24 * time.Hour // after which a process that does not write any more is forgotten
)

// upkeep is the state of the work of Maintain.
type upkeep struct {
	sweep   []int64   // dropped series that may have readings
	looked  time.Time // when that was due by the clock
	pending bool      // it is time to look again
}

// Maintain makes partitions ahead of time and deletes the readings of series
// that were dropped.
func (s *Store) Maintain(ctx context.Context, budget time.Duration) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	now := s.options.Now()
	if now.Sub(s.upkeep.looked).Abs() >= sweepEvery {
		s.upkeep.looked, s.upkeep.pending = now, true
	}
	if s.doubt != 0 {
		return false, nil
	}
	deadline := time.Now().Add(budget)
	for more := s.due(); more; more = s.due() && time.Now().Before(deadline) {
		if err := s.transact(ctx, s.step); err != nil {
			return false, fmt.Errorf("upkeep: %w", err)
		}
	}
	return s.due(), nil
}

func (s *Store) due() bool {
	return len(s.upkeep.sweep) > 0 || s.upkeep.pending || s.missing(s.options.Now()) != nil
}

// missing gives the times of now and ahead of it that have no partition.
func (s *Store) missing(now time.Time) []row {
	var out []row
	for _, t := range []trefoil.Instant{trefoil.InstantOf(now), trefoil.InstantOf(now) + ahead} {
		if !has(s.known.partitions, t) {
			out = append(out, row{time: t})
		}
	}
	return out
}

// transact runs fn in a short transaction and takes over what it changed.
func (s *Store) transact(ctx context.Context, fn func(context.Context, *tx) error) error {
	w, err := s.begin(ctx)
	if err != nil {
		return err
	}
	t := &tx{s: s, w: w}
	if err := fn(context.WithoutCancel(ctx), t); err != nil {
		s.stale = true
		s.rollback(w)
		return err
	}
	if _, err := w.exec(ctx, "commit"); err != nil {
		s.discard() // what it did is read again with the next connection
		return err
	}
	if err := w.bound(0); err != nil {
		s.discard()
	}
	s.known.apply(t.change)
	return nil
}

// step does what is most due.
func (s *Store) step(ctx context.Context, t *tx) error {
	if rows := s.missing(s.options.Now()); rows != nil {
		return t.makePartitions(ctx, rows)
	}
	if len(s.upkeep.sweep) == 0 {
		return s.look(ctx, t)
	}
	return s.sweepSome(ctx, t)
}

// look finds out what is to be swept and forgets processes that are gone.
func (s *Store) look(ctx context.Context, t *tx) error {
	if _, err := t.ExecContext(ctx, "delete from commit_writer where time < $1 and name <> $2", s.options.Now().Add(-forget), s.name); err != nil {
		return fmt.Errorf("forget processes that are gone: %w", err)
	}
	rows, err := t.QueryContext(ctx, "select id from dropped_series order by id limit 1000")
	if err != nil {
		return fmt.Errorf("look for dropped series: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		s.upkeep.sweep = append(s.upkeep.sweep, id)
	}
	s.upkeep.pending = false
	return rows.Err()
}

// sweepSome deletes some readings of a dropped series, or the series' entry
// when there are none left.
func (s *Store) sweepSome(ctx context.Context, t *tx) error {
	id := s.upkeep.sweep[0]
	result, err := t.ExecContext(ctx, `delete from reading r
		using (select time from reading where series_id = $1 order by time limit $2) d
		where r.series_id = $1 and r.time = d.time`, id, sweepRows)
	if err != nil {
		return fmt.Errorf("delete readings of dropped series %d: %w", id, err)
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	if _, err := t.ExecContext(ctx, "delete from dropped_series where id = $1", id); err != nil {
		return fmt.Errorf("forget dropped series %d: %w", id, err)
	}
	s.upkeep.sweep = s.upkeep.sweep[1:]
	return nil
}
