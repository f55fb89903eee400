package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

const (
	retainEvery = time.Hour   // how often is looked for what is to go
	diskEvery   = time.Minute // how often the disk is looked at

	// retainSlice is the number of chunks that one step removes or packs. One
	// may have a hundred kilobytes, all of whose pages are visited.
	retainSlice = 16
)

// retention is one pass over all partitions: those in which nothing is to be
// kept go as a whole, and of others the series that are due, one by one.
type retention struct {
	running bool
	last    time.Time         // when a pass began
	disk    time.Time         // when the disk was looked at
	warned  bool              // that others fill the disk
	number  int64             // of the last entry about what was removed
	treated map[string]uint64 // what the last pass did to a partition

	now   trefoil.Instant
	rules []rule // of all series, ascending id
	parts []part // to look at
	walk  walk
}

// rule is how long a series is kept.
type rule struct {
	id int64
	store.Retention
}

// walk goes through the series of one partition.
type walk struct {
	part   part
	rules  []rule // still to do
	from   int64  // id of the chunk to go on with in the first of them; 0: its first
	number [2]int64
}

// dropping is a partition that nobody reads any more and whose pages are being
// given back.
type dropping struct {
	part
	number int64 // of the entry about it
	last   int64 // series that was counted last
}

// action is what a rule does to a partition.
type action byte

const (
	keep action = iota
	pack        // only summaries of hours are kept
	remove
)

func (r rule) action(p part, now trefoil.Instant) action {
	switch {
	case r.Raw == 0 || p.until > now.Add(-r.Raw):
		return keep
	case r.Hourly == 0 || r.Hourly != store.Forever && p.until <= now.Add(-r.Hourly):
		return remove
	default:
		return pack
	}
}

func (s *Store) loadDrops(ctx context.Context) (err error) {
	s.upkeep.retention.treated = map[string]uint64{}
	s.upkeep.retention.number, err = store.LastDropped(ctx, s.readers)
	return err
}

// startRetention begins a pass if one is due, and looks at the disk.
func (s *Store) startRetention(ctx context.Context) error {
	r := &s.upkeep.retention
	now := s.options.Now()
	if len(s.upkeep.dropping) == 0 && now.Sub(r.disk).Abs() >= diskEvery {
		r.disk = now
		if err := s.checkDisk(ctx); err != nil {
			return fmt.Errorf("look at the disk: %w", err)
		}
	}
	if s.options.Keep == nil || r.running || now.Sub(r.last).Abs() < retainEvery {
		return nil
	}
	r.last, r.now = now, trefoil.InstantOf(now)
	r.rules = s.rules()
	r.parts = between(s.parts, minTime-day, r.now)
	r.running, r.walk = true, walk{}
	return nil
}

func (s *Store) rules() []rule {
	list := make([]rule, 0, len(s.all))
	for id, d := range s.devices {
		for _, x := range d.list() {
			list = append(list, rule{x.id, s.options.Keep(id, x.metric)})
		}
	}
	slices.SortFunc(list, func(a, b rule) int { return cmp.Compare(a.id, b.id) })
	return list
}

// retainSome does the next steps of a pass until the deadline.
func (s *Store) retainSome(ctx context.Context, deadline time.Time) error {
	r := &s.upkeep.retention
	for first := true; r.running && (first || s.options.Now().Before(deadline)); first = false {
		var err error
		if len(r.walk.rules) > 0 {
			err = s.walkSome(ctx)
		} else {
			err = s.nextPart(ctx)
		}
		if err != nil {
			r.running = false // a later pass begins anew
			return fmt.Errorf("retention: %w", err)
		}
	}
	return nil
}

// nextPart decides what happens to the next partition.
func (s *Store) nextPart(ctx context.Context) error {
	r := &s.upkeep.retention
	if len(r.parts) == 0 {
		r.running, r.rules = false, nil
		return nil
	}
	p := r.parts[0]
	r.parts = r.parts[1:]
	var due []rule
	kept, sum := false, fnv.New64a()
	for _, rule := range r.rules {
		a := rule.action(p, r.now)
		kept = kept || a != remove
		if a != keep {
			due = append(due, rule)
			fmt.Fprint(sum, rule.id, a, ' ')
		}
	}
	switch {
	case len(r.rules) > 0 && !kept:
		return s.dropPart(ctx, p, store.DropAge)
	case len(due) > 0 && r.treated[p.name] != sum.Sum64():
		r.treated[p.name] = sum.Sum64()
		r.walk = walk{part: p, rules: due}
	}
	return nil
}

// dropPart puts a partition out of sight at once; its pages are given back by
// later steps.
func (s *Store) dropPart(ctx context.Context, p part, reason store.DropReason) error {
	r := &s.upkeep.retention
	d := store.Dropped{Number: r.number + 1, Time: trefoil.InstantOf(s.options.Now()), Reason: reason, What: store.DropAll, Part: p.name, From: p.start, To: p.until}
	w, err := s.begin(ctx)
	if err != nil {
		return err
	}
	err = w.conn.QueryRowContext(context.WithoutCancel(ctx), "select readings, bytes from partition where name = $1", p.name).Scan(&d.Readings, &d.Bytes)
	if err == nil {
		err = w.exec(ctx, "update partition set dropped = $2 where name = $1", p.name, d.Number)
	}
	if err == nil {
		err = store.AddDropped(ctx, w.conn, d)
	}
	if err == nil {
		err = s.commit(w, func() {
			s.parts = slices.DeleteFunc(slices.Clone(s.parts), func(x part) bool { return x.name == p.name })
		})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("drop partition %s: %w", p.name, err), s.rollback(w))
	}
	r.number = d.Number
	delete(r.treated, p.name)
	s.upkeep.dropping = append(s.upkeep.dropping, dropping{part: p, number: d.Number})
	s.logger.Warn("readings were dropped by retention", "reason", string(reason), "from", p.start.Time(), "to", p.until.Time(), "readings", d.Readings, "bytes", d.Bytes)
	return nil
}

// emptySome gives back pages of a dropped partition: SQLite has to look at
// every page of a table that it drops, which would keep commits waiting.
func (s *Store) emptySome(ctx context.Context, deadline time.Time) error {
	d := s.upkeep.dropping[0]
	gone, summed := false, int64(0)
	counted := removed{}
	err := s.inTransaction(ctx, func(w *writer) error {
		for first := true; !gone && (first || s.options.Now().Before(deadline)); first = false {
			pw, err := w.open(d.part)
			if err != nil {
				return err
			}
			slice, err := pw.removeSome(w, -1<<63, 1<<63-1, retainSlice)
			if err != nil {
				return err
			}
			counted.add(slice)
			if gone = slice.chunks < retainSlice; gone {
				summed = pw.summed // of a table that commit will not know any more
				return s.endPart(ctx, w, d, counted)
			}
		}
		return s.saveCounts(w, d, counted)
	})
	if err != nil {
		return fmt.Errorf("empty partition %s: %w", d.name, err)
	}
	s.subtract(counted)
	s.summed.Add(summed)
	if len(counted.series) > 0 {
		s.upkeep.dropping[0].last = counted.last
	}
	if gone {
		s.upkeep.dropping = s.upkeep.dropping[1:]
	}
	return nil
}

// endPart drops the table of a partition that is empty.
func (s *Store) endPart(ctx context.Context, w *writer, d dropping, counted removed) error {
	if err := s.saveCounts(w, d, counted); err != nil {
		return err
	}
	if err := w.forgetPart(d.name); err != nil {
		return err
	}
	if err := w.exec(ctx, "drop table "+d.name); err != nil {
		return err
	}
	return w.exec(ctx, "delete from partition where name = $1", d.name)
}

// saveCounts writes how many readings the series have left.
func (s *Store) saveCounts(w *writer, d dropping, counted removed) error {
	n := int64(len(counted.series))
	if _, again := counted.series[d.last]; again {
		n--
	}
	if err := s.saveStored(w, counted); err != nil || d.number == 0 || n == 0 {
		return err
	}
	return w.exec(context.Background(), "update retention_drop set series = series + $2 where number = $1", d.number, n)
}

func (s *Store) saveStored(w *writer, counted removed) error {
	for id, n := range counted.series {
		if err := w.exec(context.Background(), "update series set stored = max(0, stored - $2) where id = $1", id, n); err != nil {
			return fmt.Errorf("count what series %d has left: %w", id, err)
		}
	}
	return nil
}

// subtract does in memory what saveStored did on disk.
func (s *Store) subtract(counted removed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range counted.series {
		i, found := slices.BinarySearchFunc(s.all, id, func(x *serie, id int64) int { return cmp.Compare(x.id, id) })
		if found {
			s.all[i].stored = max(0, s.all[i].stored-n)
		}
	}
}
