package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// part is a partition: the table that holds the chunks of [start, until).
// Chunks are inside of one UTC day, so none reaches over the end of a month.
type part struct {
	name         string
	start, until trefoil.Instant
}

// Times with a month of their own. What a wrong clock puts outside of them
// shares two partitions, so that it cannot make thousands.
var (
	firstMonth = trefoil.InstantOf(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	lastMonth  = trefoil.InstantOf(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
)

// partOf gives the partition that t belongs to.
func partOf(t trefoil.Instant) part {
	switch {
	case t < firstMonth:
		return part{"chunk_early", minTime - day, firstMonth}
	case t >= lastMonth:
		return part{"chunk_late", lastMonth, maxTime}
	}
	year, month, _ := t.Time().Date()
	from := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return part{"chunk_" + from.Format("200601"), trefoil.InstantOf(from), trefoil.InstantOf(from.AddDate(0, 1, 0))}
}

func findPart(list []part, t trefoil.Instant) (part, bool) {
	i, found := slices.BinarySearchFunc(list, t, func(p part, t trefoil.Instant) int { return cmp.Compare(p.start, t) })
	if !found {
		i--
	}
	if i < 0 || t >= list[i].until {
		return part{}, false
	}
	return list[i], true
}

// between gives the partitions that have something of [from, to).
func between(list []part, from, to trefoil.Instant) []part {
	low := 0
	for low < len(list) && list[low].until <= from {
		low++
	}
	high := len(list)
	for high > low && list[high-1].start >= to {
		high--
	}
	return list[low:high]
}

// withParts gives a new list; readers may have the old one.
func withParts(list, added []part) []part {
	if len(added) == 0 {
		return list
	}
	all := slices.Concat(list, added)
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(a.start, b.start) })
	return all
}

// partWriter writes one partition.
type partWriter struct {
	part
	stmts []*sql.Stmt

	owner  *sql.Stmt
	next   *sql.Stmt
	put    *sql.Stmt
	hourly *sql.Stmt
	days   *sql.Stmt
	delete *sql.Stmt

	// What the open transaction adds to the sizes of the partition, and what
	// came too late to be stored in it.
	readings, bytes, summed, late int64
}

// partAt gives the partition of t, which it makes if it is missing.
func (s *Store) partAt(w *writer, t trefoil.Instant) (*partWriter, error) {
	p, ok := findPart(s.parts, t)
	if !ok {
		p, ok = findPart(w.made, t)
	}
	if !ok {
		p = partOf(t)
		if err := w.makePart(&p); err != nil {
			return nil, fmt.Errorf("make partition %s: %w", p.name, err)
		}
		w.made = withParts(w.made, []part{p})
	}
	return w.open(p)
}

// makePart makes the table in the open transaction. The name gets a number
// when one of that name is still being dropped.
func (w *writer) makePart(p *part) error {
	base := p.name
	for n := 2; ; n++ {
		var taken bool
		err := w.conn.QueryRowContext(context.Background(), "select exists (select 1 from partition where name = $1)", p.name).Scan(&taken)
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		p.name = fmt.Sprintf("%s_%d", base, n)
	}
	return w.exec(context.Background(), fmt.Sprintf(`create table %[1]s (
			id      integer primary key, -- number of the series and time from which on the chunk is responsible
			hours   integer not null,    -- width of its slot
			first   integer not null,
			last    integer not null,
			summary blob    not null,
			data    blob    not null
		);
		create index %[1]s_hourly on %[1]s (hours) where hours = 1;
		insert into partition (name, start, until, readings, bytes, summed, dropped) values ('%[1]s', %[2]d, %[3]d, 0, 0, 0, 0)`,
		p.name, p.start, p.until))
}

// open gives the statements of a partition.
func (w *writer) open(p part) (*partWriter, error) {
	if pw := w.parts[p.name]; pw != nil {
		return pw, nil
	}
	pw := &partWriter{part: p}
	for _, x := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&pw.owner, "select id, hours, last, data from %s where id between $1 and $2 order by id desc limit 1"},
		{&pw.next, "select coalesce(min(id), 0) from %s where id > $1 and id < $2"},
		{&pw.put, "insert or replace into %s (id, hours, first, last, summary, data) values ($1, $2, $3, $4, $5, $6)"},
		{&pw.hourly, "select id from %[1]s indexed by %[1]s_hourly where hours = 1 and id >= $1 order by id limit 1"},
		{&pw.days, "select id, data from %s where id >= $1 and id < $2 order by id"},
		{&pw.delete, "delete from %s where id >= $1 and id < $2"},
	} {
		stmt, err := w.conn.PrepareContext(context.Background(), fmt.Sprintf(x.text, p.name))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare for partition %s: %w", p.name, err), pw.close())
		}
		*x.stmt = stmt
		pw.stmts = append(pw.stmts, stmt)
	}
	w.parts[p.name] = pw
	return pw, nil
}

func (pw *partWriter) close() error {
	var errs []error
	for _, stmt := range pw.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// forgetPart closes the statements of a partition that is gone.
func (w *writer) forgetPart(name string) error {
	pw := w.parts[name]
	if pw == nil {
		return nil
	}
	delete(w.parts, name)
	return pw.close()
}

// saveSizes writes how much the partitions have grown in the transaction.
func (w *writer) saveSizes() error {
	for _, pw := range w.parts {
		if pw.readings == 0 && pw.bytes == 0 && pw.summed == 0 {
			continue
		}
		err := w.exec(context.Background(), "update partition set readings = readings + $2, bytes = bytes + $3, summed = summed + $4 where name = $1",
			pw.name, pw.readings, pw.bytes, pw.summed)
		if err != nil {
			return fmt.Errorf("note the size of partition %s: %w", pw.name, err)
		}
	}
	return nil
}

// undone forgets what a transaction that was rolled back did to partitions.
func (w *writer) undone() error {
	var errs []error
	w.noSizes()
	for _, p := range w.made {
		errs = append(errs, w.forgetPart(p.name))
	}
	w.made = nil
	return errors.Join(errs...)
}

func (w *writer) noSizes() {
	for _, pw := range w.parts {
		pw.readings, pw.bytes, pw.summed, pw.late = 0, 0, 0, 0
	}
}

// loadParts reads which partitions there are, and which are on their way out.
func (s *Store) loadParts(ctx context.Context) error {
	rows, err := s.readers.QueryContext(ctx, "select name, start, until, summed, dropped from partition order by start, name")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p part
		var summed, dropped int64
		if err := rows.Scan(&p.name, &p.start, &p.until, &summed, &dropped); err != nil {
			return err
		}
		s.summed.Add(summed)
		if dropped == 0 {
			s.parts = append(s.parts, p)
		} else {
			s.upkeep.dropping = append(s.upkeep.dropping, dropping{part: p, number: dropped})
		}
	}
	return rows.Err()
}
