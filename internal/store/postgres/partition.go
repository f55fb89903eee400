package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// partition is a table that holds the readings of [low, high).
type partition struct{ low, high trefoil.Instant }

const (
	week = trefoil.Instant(7 * 24 * time.Hour / time.Microsecond)

	// monday is the beginning of a week.
	monday = trefoil.Instant(4 * 24 * time.Hour / time.Microsecond)

	// ahead is how long before its first reading a partition is made.
	ahead = week

	// near is how far from now a partition is made for a week; what is further
	// away gets a month, so that a wrong clock cannot make too many.
	near = 53 * week
)

// Between these, partitions are made as they are needed; what is outside has
// two partitions of its own.
var (
	firstPartition = trefoil.InstantOf(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	lastPartition  = trefoil.InstantOf(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
)

func (p partition) name() string { return "reading_" + p.low.Time().Format("20060102") }

// newPartition says which partition a reading at t gets: its week or its
// month, cut where there are others. existing is ascending and has none at t.
func newPartition(existing []partition, t, now trefoil.Instant) partition {
	p := partition{low: t - (t-monday)%week}
	p.high = p.low + week
	if t < now-near || t > now+near {
		year, month, _ := t.Time().Date()
		p.low = trefoil.InstantOf(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC))
		p.high = trefoil.InstantOf(time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC))
	}
	p.low, p.high = max(p.low, firstPartition), min(p.high, lastPartition)
	for _, x := range existing {
		if x.high <= t {
			p.low = max(p.low, x.high)
		} else {
			p.high = min(p.high, x.low)
		}
	}
	return p
}

// has reports whether there is a partition for t.
func has(list []partition, t trefoil.Instant) bool {
	if t < firstPartition || t >= lastPartition {
		return true
	}
	i, found := slices.BinarySearchFunc(list, t, func(p partition, t trefoil.Instant) int { return cmp.Compare(p.low, t) })
	return found || i > 0 && t < list[i-1].high
}

func insertPartition(list []partition, p partition) []partition {
	i, _ := slices.BinarySearchFunc(list, p, func(a, b partition) int { return cmp.Compare(a.low, b.low) })
	return slices.Insert(list, i, p)
}

func (s *Store) loadPartitions(ctx context.Context, k *known) error {
	rows, err := s.writer.conn.QueryContext(ctx, "select low, high from reading_partition order by low")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var low, high time.Time
		if err := rows.Scan(&low, &high); err != nil {
			return err
		}
		k.partitions = append(k.partitions, partition{trefoil.InstantOf(low), trefoil.InstantOf(high)})
	}
	return rows.Err()
}

// makePartitions makes the partitions that the rows need and do not have, in
// the transaction of the rows.
func (t *tx) makePartitions(ctx context.Context, rows []row) error {
	list := t.s.known.partitions
	var hit partition
	for i := range rows {
		at := rows[i].time
		if hit.low <= at && at < hit.high || has(list, at) {
			continue
		}
		hit = newPartition(list, at, trefoil.InstantOf(t.s.options.Now()))
		if err := t.w.makePartition(ctx, hit); err != nil {
			return err
		}
		list = insertPartition(slices.Clone(list), hit)
		t.change.partitions = append(t.change.partitions, hit)
	}
	return nil
}

// makePartition makes a partition in the open transaction. A table that is
// made apart and then attached does not keep readers waiting, as one that is
// made as a partition would.
func (w *writer) makePartition(ctx context.Context, p partition) error {
	const layout = "2006-01-02 15:04:05.999999-07"
	low, high := p.low.Time().Format(layout), p.high.Time().Format(layout)
	_, err := w.exec(ctx, fmt.Sprintf(`select pg_advisory_xact_lock(%[1]d);
		create table %[2]s (like reading including all);
		alter table reading attach partition %[2]s for values from ('%[3]s') to ('%[4]s');
		insert into reading_partition (name, low, high) values ('%[2]s', '%[3]s', '%[4]s')`,
		lockPartition, p.name(), low, high))
	if err != nil {
		return fmt.Errorf("make partition %s: %w", p.name(), err)
	}
	return nil
}
