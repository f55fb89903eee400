package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
)

// grace is how long after the end of an hour its readings are moved to
// chunks: most that are a little late are there by then.
const grace = 2 * time.Minute

// hurry is the least budget while the head is over its bound, so that it
// cannot grow faster than it is emptied.
const hurry = 50 * time.Millisecond

// leastSteps is the number of series that one call moves in any case: a
// commit should be worth its fsync.
const leastSteps = 16

// upkeep is the state of the work of Maintain.
//
// A round moves what the heads hold to chunks, series by series, and then
// cuts the log. All that commits up to cut brought is in chunks, or in later
// rows of the log, when the last series is done; only then the log loses its
// rows up to cut. So a crash at any moment loses nothing, and what is replayed
// although it is in a chunk already is the newer or the same.
type upkeep struct {
	running bool
	cut     int64           // last commit whose readings this round moves
	before  trefoil.Instant // only readings before this go to chunks
	next    int64           // number of the series to go on with
	hour    trefoil.Instant // of the last round that the clock began
	low     int64           // last commit that is not in the log any more
	sweep   []int64         // dropped series that may have chunks

	compaction    compaction
	retention     retention
	dropping      []dropping // partitions that nobody reads any more
	data, summary []byte     // memory for encoding
}

// Maintain moves readings to chunks, cuts the log, removes the chunks of
// dropped series and what is older than it is to be kept, and joins chunks of
// hours into chunks of days. The work that frees memory comes first.
func (s *Store) Maintain(ctx context.Context, budget time.Duration) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.startRound()
	s.startCompaction()
	if err := s.startRetention(ctx); err != nil {
		return false, fmt.Errorf("upkeep: %w", err)
	}
	if s.overBound() {
		budget = max(budget, hurry)
	}
	u := &s.upkeep
	deadline := s.options.Now().Add(budget)
	switch {
	case u.running && u.next <= s.lastSeries():
		err = s.moveSome(ctx, deadline)
	case u.running:
		err = s.cutLog(ctx, deadline)
	case len(u.sweep) > 0:
		err = s.sweepChunks(ctx)
	case len(u.dropping) > 0:
		err = s.emptySome(ctx, deadline)
	case u.compaction.running:
		err = s.compactSome(ctx, deadline)
	case u.retention.running:
		err = s.retainSome(ctx, deadline)
	}
	if err != nil {
		return false, fmt.Errorf("upkeep: %w", err)
	}
	return u.running || len(u.sweep) > 0 || len(u.dropping) > 0 || u.compaction.running || u.retention.running, nil
}

func (s *Store) overBound() bool { return s.headBytes.Load() >= s.options.HeadBytes }

func (s *Store) lastSeries() int64 {
	if len(s.all) == 0 {
		return 0
	}
	return s.all[len(s.all)-1].id
}

// startRound begins a round if one is due: when the head has filled half of
// its bound everything in it is moved, and once an hour what came before that
// hour.
func (s *Store) startRound() {
	u := &s.upkeep
	if u.running {
		return
	}
	now := floor(trefoil.InstantOf(s.options.Now().Add(-grace)), hour)
	bytes := s.headBytes.Load()
	switch {
	case bytes > 0 && bytes >= s.options.HeadBytes/2:
		u.before = maxTime
	case now > u.hour:
		u.before = now
	default:
		return
	}
	u.hour = max(u.hour, now)
	u.running, u.cut, u.next = true, int64(s.seq.Load()), 0
}

// moved is what a step did to one series.
type moved struct {
	serie *serie
	grown int64
}

// moveSome moves the heads of the next series in one transaction. Readings
// that are to stay in the head are written to the log again, so that the rows
// that hold them now can go.
func (s *Store) moveSome(ctx context.Context, deadline time.Time) error {
	w, err := s.begin(ctx)
	if err != nil {
		return err
	}
	list, next, err := s.moveInto(w, deadline)
	if err == nil {
		err = s.finishMove(w, list)
	}
	if err != nil {
		return errors.Join(err, s.rollback(w))
	}
	s.upkeep.next = next
	return nil
}

func (s *Store) moveInto(w *writer, deadline time.Time) (list []moved, next int64, err error) {
	s.buffer.batch.reset()
	start, _ := slices.BinarySearchFunc(s.all, s.upkeep.next, func(x *serie, id int64) int { return cmp.Compare(x.id, id) })
	for _, x := range s.all[start:] {
		if len(list) >= leastSteps && !s.options.Now().Before(deadline) {
			return list, x.id, nil
		}
		if x.head.Len() == 0 {
			continue
		}
		grown, err := s.moveOne(w, x)
		if err != nil {
			return nil, 0, fmt.Errorf("series %d: %w", x.id, err)
		}
		list = append(list, moved{x, grown})
	}
	return list, s.lastSeries() + 1, nil
}

func (s *Store) moveOne(w *writer, x *serie) (grown int64, err error) {
	snapshot := x.head.Snapshot()
	all := snapshot.Columns()
	n := all.Search(s.upkeep.before)
	for i := n; i < all.Len(); i++ {
		s.buffer.batch.add(x.id, all.Time(i), all.Value(i))
	}
	if n == 0 {
		return 0, nil
	}
	if grown, err = s.writeChunks(w, x.id, all.Slice(0, n)); err != nil {
		return 0, err
	}
	_, err = w.updateSeries.Exec(x.id, encodeSample(x.latest), x.stored+grown)
	return grown, err
}

// finishMove commits the step and takes what it moved out of the heads, so
// that a reader sees both or neither.
func (s *Store) finishMove(w *writer, list []moved) error {
	seq := s.seq.Load()
	if !s.buffer.batch.empty() {
		seq++
		if _, err := w.insertLog.Exec(int64(seq), s.buffer.batch.seal()); err != nil {
			return fmt.Errorf("write the log: %w", err)
		}
	}
	return s.commit(w, func() {
		for _, m := range list {
			s.trim(m)
		}
		s.seq.Store(seq)
	})
}

// commit ends a transaction of upkeep and runs then, which makes the same
// change in memory, so that a reader sees both or neither.
func (s *Store) commit(w *writer, then func()) error {
	if err := errors.Join(s.saveLate(w), w.saveSizes()); err != nil {
		return err
	}
	s.swap.Lock()
	defer s.swap.Unlock()
	if err := w.exec(context.Background(), "commit"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = withParts(s.parts, w.made)
	w.made = nil
	for _, pw := range w.parts {
		s.summed.Add(pw.summed)
	}
	w.noSizes()
	then()
	return nil
}

func (s *Store) trim(m moved) {
	x := m.serie
	x.stored += m.grown
	x.head.CutBefore(s.upkeep.before)
	was := x.bytes
	x.bytes = headMemory(&x.head)
	s.headBytes.Add(x.bytes - was)
}

func headMemory(h *series.Head) (n int64) {
	snapshot := h.Snapshot()
	all := snapshot.Columns()
	for i := range all.Len() {
		n += memory(all.Value(i))
	}
	return n
}

// cutSlice is the number of commits whose rows one statement deletes. A row
// may have megabytes, all of whose pages are visited.
const cutSlice = 16

// cutLog deletes rows of the log that the round has made needless.
func (s *Store) cutLog(ctx context.Context, deadline time.Time) error {
	u := &s.upkeep
	low := u.low
	err := s.inTransaction(ctx, func(w *writer) error {
		for first := true; low < u.cut && (first || s.options.Now().Before(deadline)); first = false {
			low = min(low+cutSlice, u.cut)
			if err := w.exec(ctx, "delete from log where seq <= $1", low); err != nil {
				return err
			}
		}
		return w.exec(ctx, "update log_cut set seq = $1", low)
	})
	if err != nil {
		return fmt.Errorf("cut the log: %w", err)
	}
	u.low = low
	u.running = low < u.cut
	return nil
}

// sweepSlice is the number of chunks that one call deletes.
const sweepSlice = 256

// sweepChunks deletes chunks of a dropped series.
func (s *Store) sweepChunks(ctx context.Context) error {
	id := s.upkeep.sweep[0]
	n := 0
	err := s.inTransaction(ctx, func(w *writer) error {
		const shift = hourBits + partBits
		for _, p := range s.parts {
			pw, err := w.open(p)
			if err != nil {
				return err
			}
			slice, err := pw.removeSome(w, id<<shift, (id+1)<<shift, sweepSlice-n)
			if err != nil {
				return err
			}
			if n += slice.chunks; n >= sweepSlice {
				return nil
			}
		}
		return w.exec(ctx, "delete from dropped_series where id = $1", id)
	})
	if err != nil {
		return fmt.Errorf("remove the chunks of dropped series: %w", err)
	}
	if n < sweepSlice {
		s.upkeep.sweep = s.upkeep.sweep[1:]
	}
	return nil
}

// inTransaction runs fn in a transaction of its own.
func (s *Store) inTransaction(ctx context.Context, fn func(*writer) error) error {
	w, err := s.begin(ctx)
	if err != nil {
		return err
	}
	if err = fn(w); err == nil {
		err = s.commit(w, func() {})
	}
	if err != nil {
		return errors.Join(err, s.rollback(w))
	}
	return nil
}
