package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// removed counts chunks that are gone, and their readings by series.
type removed struct {
	chunks   int
	readings int64
	bytes    int64
	series   map[int64]int64
	last     int64 // series of the last chunk
	next     int64 // id of the chunk to go on with
}

func (r *removed) count(id, readings, bytes int64) {
	if r.series == nil {
		r.series = map[int64]int64{}
	}
	number := id >> (hourBits + partBits)
	r.series[number] += readings
	r.readings += readings
	r.bytes += bytes
	r.last, r.next = number, id+1
	r.chunks++
}

func (r *removed) add(o removed) {
	for id, n := range o.series {
		if r.series == nil {
			r.series = map[int64]int64{}
		}
		r.series[id] += n
	}
	r.chunks += o.chunks
	r.readings += o.readings
	r.bytes += o.bytes
	r.last = o.last
}

// removeSome deletes the first chunks with ids from up to but without end.
func (pw *partWriter) removeSome(w *writer, from, end int64, limit int) (r removed, err error) {
	var summed int64
	if err := w.conn.QueryRowContext(context.Background(), "select summed from partition where name = $1", pw.name).Scan(&summed); err != nil {
		return r, err
	}
	version := "x''"
	if summed+pw.summed > 0 {
		version = "substr(data, 1, 1)" // for which SQLite reads all of the data
	}
	const text = "select id, summary, length(data), %s from %s where id >= $1 and id < $2 order by id limit $3"
	rows, err := w.conn.QueryContext(context.Background(), fmt.Sprintf(text, version, pw.name), from, end, limit)
	if err != nil {
		return r, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, bytes int64
		var summary, version sql.RawBytes
		if err := rows.Scan(&id, &summary, &bytes, &version); err != nil {
			return r, err
		}
		n, err := countOf(summary)
		if err != nil {
			return r, err
		}
		if series.Packed(version) {
			pw.summed -= n
		}
		r.count(id, n, bytes)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || r.chunks == 0 {
		return r, err
	}
	pw.readings -= r.readings
	pw.bytes -= r.bytes
	_, err = pw.delete.Exec(from, r.next)
	return r, err
}

// packSome replaces the readings of the first chunks with ids from up to but
// without end by summaries of their hours.
func (s *Store) packSome(w *writer, pw *partWriter, from, end int64, limit int) (r removed, err error) {
	type packed struct {
		id, readings, gain int64
		data               []byte
	}
	var list []packed
	rows, err := pw.days.Query(from, end)
	if err != nil {
		return r, err
	}
	defer rows.Close()
	for len(list) < limit && rows.Next() {
		var id int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			return r, err
		}
		r.next = id + 1
		if series.Packed(data) {
			continue
		}
		cols, err := s.codec.Decode(data)
		if err != nil {
			s.logger.Error("a damaged chunk cannot be summarised; it stays as it is", "chunk", id, "error", err)
			continue
		}
		p := packed{id: id, readings: int64(cols.Len()), data: s.codec.PackHours(nil, &cols)}
		p.gain = int64(len(data) - len(p.data))
		list = append(list, p)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return r, err
	}
	for _, p := range list {
		if err := w.exec(context.Background(), "update "+pw.name+" set data = $2 where id = $1", p.id, p.data); err != nil {
			return r, err
		}
		next := r.next
		r.count(p.id, p.readings, p.gain)
		r.next = max(next, r.next)
		pw.summed += p.readings
		pw.bytes -= p.gain
	}
	return r, nil
}

// walkSome does the next slice of a walk through a partition.
func (s *Store) walkSome(ctx context.Context) error {
	r := &s.upkeep.retention
	k := r.walk
	done := 0
	all := removed{}
	number := r.number
	err := s.inTransaction(ctx, func(w *writer) error {
		pw, err := w.open(k.part)
		if err != nil {
			return err
		}
		for seen := 0; len(k.rules) > 0 && done < retainSlice && seen < 4*retainSlice; seen++ {
			slice, what, err := s.walkOne(w, pw, &k, retainSlice-done)
			if err != nil {
				return err
			}
			done += slice.chunks
			if slice.chunks == 0 {
				continue
			}
			if what == store.DropAll {
				all.add(slice)
			}
			if err := s.enterSlice(ctx, w, &k, &number, slice, what); err != nil {
				return err
			}
		}
		return s.saveStored(w, all)
	})
	if err != nil {
		return fmt.Errorf("partition %s: %w", k.part.name, err)
	}
	r.walk, r.number = k, number
	s.subtract(all)
	return nil
}

// walkOne does some of the first rule of the walk, and leaves it when it is
// done.
func (s *Store) walkOne(w *writer, pw *partWriter, k *walk, limit int) (slice removed, what store.DropWhat, err error) {
	rule := k.rules[0]
	const shift = hourBits + partBits
	from, end := max(rule.id<<shift, k.from), (rule.id+1)<<shift
	if rule.action(k.part, s.upkeep.retention.now) == remove {
		what = store.DropAll
		slice, err = pw.removeSome(w, from, end, limit)
	} else {
		what = store.DropRaw
		slice, err = s.packSome(w, pw, from, end, limit)
	}
	if k.from = slice.next; slice.chunks < limit {
		k.rules, k.from = k.rules[1:], 0
	}
	return slice, what, err
}

// enterSlice adds what was removed to the entry of the walk.
func (s *Store) enterSlice(ctx context.Context, w *writer, k *walk, number *int64, slice removed, what store.DropWhat) error {
	kind := 0
	if what == store.DropRaw {
		kind = 1
	}
	if k.number[kind] == 0 {
		*number++
		k.number[kind] = *number
	}
	d := store.Dropped{
		Number: k.number[kind], Time: trefoil.InstantOf(s.options.Now()), Reason: store.DropAge, What: what,
		Part: k.part.name, From: k.part.start, To: k.part.until,
		Series: int64(len(slice.series)), Readings: slice.readings, Bytes: slice.bytes,
	}
	return store.AddDropped(ctx, w.conn, d)
}

// saveLate enters readings that came for a time of which only summaries are
// kept.
func (s *Store) saveLate(w *writer) error {
	for _, pw := range w.parts {
		if pw.late == 0 {
			continue
		}
		number := s.upkeep.retention.number + 1
		err := store.AddDropped(context.Background(), w.conn, store.Dropped{
			Number: number, Time: trefoil.InstantOf(s.options.Now()), Reason: store.DropLate, What: store.DropAll,
			Part: pw.name, From: pw.start, To: pw.until, Readings: pw.late,
		})
		if err != nil {
			return fmt.Errorf("note late readings: %w", err)
		}
		s.upkeep.retention.number = number
		s.logger.Warn("readings came for a time of which only summaries are kept; they are not stored", "partition", pw.name, "readings", pw.late)
	}
	return nil
}
