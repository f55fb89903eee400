package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
)

// settle is how long after the end of a day its chunks of hours are joined:
// most of what devices deliver late is there by then. What comes later still
// is merged into the joined chunk.
const settle = 6 * time.Hour

// leastDays is the number of days that one call joins in any case.
const leastDays = 4

// compaction is one pass over all series that joins the chunks of hours of
// each day that has ended into chunks of a day. A chunk has a cost of its
// own, in the file and in every query that passes it, and an hour of a slow
// sensor is little to share it.
type compaction struct {
	running bool
	day     trefoil.Instant // days before this one are joined
	part    trefoil.Instant // partitions that start before this one are done
	next    int64           // id of the chunk to go on with
}

// startCompaction begins a pass once a day.
func (s *Store) startCompaction() {
	c := &s.upkeep.compaction
	day := floor(trefoil.InstantOf(s.options.Now().Add(-settle)), day)
	if !c.running && day > c.day {
		*c = compaction{running: true, day: day, part: minTime - 2*day}
	}
}

// compactSome joins days in one transaction until the deadline.
func (s *Store) compactSome(ctx context.Context, deadline time.Time) error {
	c := s.upkeep.compaction
	err := s.inTransaction(ctx, func(w *writer) error {
		for n := 0; c.running && (n < leastDays || s.options.Now().Before(deadline)); n++ {
			if err := s.compactNext(w, &c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("join chunks: %w", err)
	}
	s.upkeep.compaction = c
	return nil
}

// compactNext joins the next day that has a chunk of an hour, or ends the pass.
func (s *Store) compactNext(w *writer, c *compaction) error {
	p, ok := c.partOf(s.parts)
	if !ok {
		c.running = false
		return nil
	}
	pw, err := w.open(p)
	if err != nil {
		return err
	}
	var id int64
	err = pw.hourly.QueryRow(c.next).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		c.part, c.next = p.until, 0
		return nil
	}
	if err != nil {
		return fmt.Errorf("find a chunk of an hour: %w", err)
	}
	number := id >> (hourBits + partBits)
	start := floor(chunkHour(id), day)
	if start >= c.day {
		c.next = (number + 1) << (hourBits + partBits)
		return nil
	}
	c.next = chunkID(number, start+day)
	return s.compactDay(w, pw, chunkID(number, start), c.next)
}

// partOf gives the partition to go on with.
func (c *compaction) partOf(list []part) (part, bool) {
	for _, p := range list {
		if p.start >= c.part {
			return p, p.start < c.day
		}
	}
	return part{}, false
}

// compactDay replaces the chunks with ids from up to but without end, those of
// one day of one series.
func (s *Store) compactDay(w *writer, pw *partWriter, from, end int64) error {
	whole, err := s.readDay(w, pw, from, end)
	if err != nil {
		return err
	}
	if _, err := pw.delete.Exec(from, end); err != nil {
		return fmt.Errorf("delete chunks of hours: %w", err)
	}
	return s.putPieces(pw, from, 24, &whole)
}

func (s *Store) readDay(w *writer, pw *partWriter, from, end int64) (whole series.Columns, err error) {
	rows, err := pw.days.Query(from, end)
	if err != nil {
		return whole, fmt.Errorf("read chunks of hours: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			return whole, fmt.Errorf("read chunks of hours: %w", err)
		}
		pw.bytes -= int64(len(data))
		part, err := s.codec.Decode(data)
		if err != nil {
			if err := s.setAside(w, pw, id, err); err != nil {
				return whole, err
			}
			continue
		}
		whole = series.Merge(&whole, &part)
	}
	return whole, rows.Err()
}
