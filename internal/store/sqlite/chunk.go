package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
)

// fullChunk is the number of readings from which on a chunk is not written
// again for readings that come after it: they begin a chunk of their own, so
// that a fast sensor does not pay for its whole hour again and again. A chunk
// of twice that size is split.
const fullChunk = 4096

// fullDay is the same for chunks of a day, which are seldom written again: a
// day of a reading every ten seconds is one chunk.
const fullDay = 2 * fullChunk

// owner is the chunk that is responsible for a time.
type owner struct {
	id, hours int64
	last      trefoil.Instant
	data      []byte
	found     bool
}

// writeChunks merges readings, sorted by time, into the chunks of a series
// and gives the number of readings by which these grew.
func (s *Store) writeChunks(w *writer, id int64, c series.Columns) (grown int64, err error) {
	for c.Len() > 0 {
		n, more, err := s.writeSome(w, id, &c)
		if err != nil {
			return 0, err
		}
		grown += more
		c = c.Slice(n, c.Len())
	}
	return grown, nil
}

// writeSome merges the first n readings of c: those that belong to the chunk
// that is responsible for the first.
func (s *Store) writeSome(w *writer, id int64, c *series.Columns) (n int, grown int64, err error) {
	t := c.Time(0)
	pw, err := s.partAt(w, t)
	if err != nil {
		return 0, 0, err
	}
	o, err := pw.ownerOf(id, t)
	if err != nil {
		return 0, 0, err
	}
	end := slotEnd(o.id, o.hours)
	next := chunkID(id, end)
	if o.found {
		if next, err = pw.nextOf(o.id, next); err != nil {
			return 0, 0, err
		}
	}
	for n = c.Search(end); n > 1 && chunkID(id, c.Time(n-1)) >= next; {
		n--
	}
	part := c.Slice(0, n)
	grown, err = s.mergeInto(w, pw, o, id, &part)
	pw.readings += grown
	return n, grown, err
}

// mergeInto writes readings that belong to the chunk o.
func (s *Store) mergeInto(w *writer, pw *partWriter, o owner, id int64, part *series.Columns) (grown int64, err error) {
	n := int64(part.Len())
	if !o.found {
		return n, s.putPieces(pw, o.id, o.hours, part)
	}
	if series.Packed(o.data) { // raw readings of this time are not kept any more
		pw.late += n
		return 0, nil
	}
	old, err := s.codec.Decode(o.data)
	if err != nil {
		pw.bytes -= int64(len(o.data))
		return n, errors.Join(s.setAside(w, pw, o.id, err), s.putPieces(pw, o.id, o.hours, part))
	}
	if first := chunkID(id, part.Time(0)); part.Time(0) > o.last && old.Len() >= fullChunk && first > o.id {
		return n, s.putPieces(pw, first, o.hours, part)
	}
	merged := series.Merge(&old, part)
	pw.bytes -= int64(len(o.data))
	return int64(merged.Len() - old.Len()), s.putPieces(pw, o.id, o.hours, &merged)
}

// ownerOf finds the chunk that is responsible for t, or says what it would be.
func (pw *partWriter) ownerOf(id int64, t trefoil.Instant) (owner, error) {
	o := owner{found: true}
	err := pw.owner.QueryRow(chunkID(id, floor(t, day)), chunkID(id, t)).Scan(&o.id, &o.hours, &o.last, &o.data)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return owner{}, fmt.Errorf("find the chunk of a time: %w", err)
	}
	if err != nil || t >= slotEnd(o.id, o.hours) {
		return owner{id: chunkID(id, floor(t, hour)), hours: 1}, nil
	}
	return o, nil
}

// nextOf gives the id at which the responsibility of a chunk ends: that of the
// next chunk before end, or end.
func (pw *partWriter) nextOf(id, end int64) (int64, error) {
	var next int64
	if err := pw.next.QueryRow(id, end).Scan(&next); err != nil {
		return 0, fmt.Errorf("find the chunk after another: %w", err)
	}
	if next == 0 {
		return end, nil
	}
	return next, nil
}

// setAside keeps a chunk that cannot be read where it is in nobody's way.
func (s *Store) setAside(w *writer, pw *partWriter, id int64, cause error) error {
	s.logger.Error("a damaged chunk is set aside in the table damaged_chunk; restore a backup to get its readings back",
		"series", id>>(hourBits+partBits), "from", chunkHour(id).Time(), "chunk", id, "error", cause)
	err := w.exec(context.Background(), "insert or replace into damaged_chunk select id, hours, first, last, summary, data from "+pw.name+" where id = $1", id)
	if err != nil {
		return fmt.Errorf("set a damaged chunk aside: %w", err)
	}
	return nil
}

// putPieces writes c as the chunk id, and what is too much for it as chunks
// that follow it. Where one ends must be seen in their ids.
func (s *Store) putPieces(pw *partWriter, id, hours int64, c *series.Columns) error {
	number := id >> (hourBits + partBits)
	full := fullChunk
	if hours > 1 {
		full = fullDay
	}
	for start := 0; start < c.Len(); {
		end := c.Len()
		if end-start > 2*full {
			end = start + full
			for end < c.Len() && chunkID(number, c.Time(end)) == chunkID(number, c.Time(end-1)) {
				end++
			}
		}
		piece := c.Slice(start, end)
		if start > 0 {
			id = chunkID(number, piece.Time(0))
		}
		if err := s.putOne(pw, id, hours, &piece); err != nil {
			return err
		}
		start = end
	}
	return nil
}

func (s *Store) putOne(pw *partWriter, id, hours int64, c *series.Columns) error {
	s.upkeep.data = s.codec.Encode(s.upkeep.data[:0], c)
	s.upkeep.summary = c.Summarize().Append(s.upkeep.summary[:0])
	pw.bytes += int64(len(s.upkeep.data))
	_, err := pw.put.Exec(id, hours, int64(c.Time(0)), int64(c.Time(c.Len()-1)), s.upkeep.summary, s.upkeep.data)
	if err != nil {
		return fmt.Errorf("write chunk %d: %w", id, err)
	}
	return nil
}
