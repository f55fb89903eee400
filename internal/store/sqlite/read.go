package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Read visits the readings of one series: those of chunks and head merged.
func (s *Store) Read(ctx context.Context, r store.ReadRequest, visit func(store.Block) error) error {
	r.From, r.To = max(r.From, minTime), min(r.To, maxTime)
	if err := ctx.Err(); err != nil || r.From >= r.To {
		return err
	}
	conn, err := s.readers.Conn(ctx) // before the lock: a busy pool may not keep the writer waiting
	if err != nil {
		return fmt.Errorf("connect for reading: %w", err)
	}
	defer conn.Close()
	v, err := s.view(ctx, conn, r)
	if v == nil || err != nil {
		return err
	}
	v.visit = visit
	defer v.close()
	return v.walk(ctx)
}

// view is one state of a series: its head and the open query of its chunks in
// one partition, with those that follow.
type view struct {
	codec *series.Codec
	conn  *sql.Conn
	id    int64 // of the series
	r     store.ReadRequest
	visit func(store.Block) error
	head  series.Columns // what is not emitted yet
	bound headBound
	parts []part    // after the open one
	rows  *sql.Rows // nil if there are no chunks
	valid bool      // rows stands on a row
	inTx  bool      // a transaction holds the state of several partitions

	samples []store.Sample // memory that one block leaves to the next
}

// view takes head and chunks of the series as they are at one moment; nil if
// there is no such series.
func (s *Store) view(ctx context.Context, conn *sql.Conn, r store.ReadRequest) (*view, error) {
	s.swap.RLock()
	defer s.swap.RUnlock()
	s.mu.RLock()
	x, _ := s.devices[r.Device].find(r.Metric, 0)
	if x == nil {
		s.mu.RUnlock()
		return nil, nil
	}
	snapshot, chunked, parts := x.head.Snapshot(), x.stored > 0, s.parts
	s.mu.RUnlock()

	head := snapshot.Columns()
	v := &view{codec: s.codec, conn: conn, id: x.id, r: r, head: head.Range(r.From, r.To)}
	v.bound = boundOf(&v.head)
	if chunked {
		// A chunk that began up to a day earlier may reach into the range.
		v.parts = slices.Clone(between(parts, floor(r.From, day), r.To))
	}
	if r.Reverse {
		slices.Reverse(v.parts)
	}
	if len(v.parts) > 1 {
		if _, err := conn.ExecContext(ctx, "begin"); err != nil {
			return nil, fmt.Errorf("read chunks: %w", err)
		}
		v.inTx = true
	}
	// The first row opens SQLite's snapshot, if the query has not done so.
	if err := v.open(ctx); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// open opens the query of the next partition, if there is one.
func (v *view) open(ctx context.Context) error {
	v.rows, v.valid = nil, false
	if len(v.parts) == 0 {
		return nil
	}
	rows, err := v.query(ctx, v.parts[0].name)
	if err != nil {
		return fmt.Errorf("read chunks: %w", err)
	}
	v.parts = v.parts[1:]
	v.rows, v.valid = rows, rows.Next()
	return nil
}

// close leaves the connection as it was.
func (v *view) close() {
	if v.rows != nil {
		v.rows.Close()
	}
	if !v.inTx {
		return
	}
	if _, err := v.conn.ExecContext(context.Background(), "rollback"); err != nil {
		_ = v.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool makes another one
	}
}

// headBound is where the head is: a summary of what lies apart from it does.
type headBound struct{ first, last trefoil.Instant }

func boundOf(head *series.Columns) headBound {
	if n := head.Len(); n > 0 {
		return headBound{head.Time(0), head.Time(n - 1)}
	}
	return headBound{maxTime, minTime}
}

// chunkQuery gives data only for chunks whose summary does not do: $6 and $7
// say where the multiples of the resolution are, $8 and $9 where the head is.
const chunkQuery = `select first, last, summary,
	case when $5 and first >= $3 and last < $4 and (first + $7) / $6 = (last + $7) / $6 and (last < $8 or first > $9)
	then null else data end
from %s where id between $1 and $2 and last >= $3 and first < $4 order by id `

func (v *view) query(ctx context.Context, table string) (*sql.Rows, error) {
	r := v.r
	from, to := chunkID(v.id, max(floor(r.From, day), minTime-day)), chunkID(v.id, r.To-1)
	resolution := r.Resolution.Microseconds()
	width := max(resolution, 1)
	offset := -int64(floor(minTime, trefoil.Instant(width))) // makes dividends positive, so that / rounds down
	order := "asc"
	if r.Reverse {
		order = "desc"
	}
	return v.conn.QueryContext(ctx, fmt.Sprintf(chunkQuery, table)+order, from, to, int64(r.From), int64(r.To),
		resolution > 0, width, offset, int64(v.bound.first), int64(v.bound.last))
}

// walk emits chunks and head in order of time.
func (v *view) walk(ctx context.Context) error {
	for v.rows != nil {
		if err := v.walkPart(ctx); err != nil {
			return err
		}
		v.rows.Close()
		if err := v.open(ctx); err != nil {
			return err
		}
	}
	return v.emit(ctx, &v.head)
}

// walkPart emits the chunks of the open partition, and what of the head lies
// before them.
func (v *view) walkPart(ctx context.Context) error {
	for ; v.valid; v.valid = v.rows.Next() {
		var c chunkRow
		if err := v.rows.Scan(&c.first, &c.last, &c.summary, &c.data); err != nil {
			return fmt.Errorf("read chunks: %w", err)
		}
		if err := v.emitChunk(ctx, c); err != nil {
			return err
		}
	}
	if err := v.rows.Err(); err != nil {
		// SQLite calls a cancelled query interrupted, which says less.
		return errors.Join(ctx.Err(), fmt.Errorf("read chunks: %w", err))
	}
	return nil
}

// chunkRow is a row of chunkQuery; its slices are valid until the next one.
type chunkRow struct {
	first, last   trefoil.Instant
	summary, data sql.RawBytes // data is nil where the summary does
}

// emitChunk emits what the head has in front of the chunk, and the chunk with
// what the head has inside of it.
func (v *view) emitChunk(ctx context.Context, c chunkRow) error {
	before := v.head.Slice(0, v.head.Search(c.first))
	inside := v.head.Range(c.first, c.last+1)
	after := v.head.Slice(before.Len()+inside.Len(), v.head.Len())
	if v.r.Reverse {
		before, after = after, before
	}
	if err := v.emit(ctx, &before); err != nil {
		return err
	}
	v.head = after
	if c.data == nil {
		return v.emitSummary(ctx, c)
	}
	if series.Packed(c.data) {
		return v.emitHours(ctx, c)
	}
	columns, err := v.codec.Decode(c.data)
	if err != nil {
		return fmt.Errorf("chunk at %v: %w", c.first.Time(), err)
	}
	columns = series.Merge(&columns, &inside)
	columns = columns.Range(v.r.From, v.r.To)
	return v.emit(ctx, &columns)
}

// emitHours emits the summaries of hours that are left of a chunk, where the
// caller can use them. What the head has of its time is on its way out.
func (v *view) emitHours(ctx context.Context, c chunkRow) error {
	if resolution := trefoil.Instant(v.r.Resolution.Microseconds()); resolution == 0 || resolution%hour != 0 {
		return ctx.Err()
	}
	hours, err := v.codec.UnpackHours(c.data)
	if err != nil {
		return fmt.Errorf("chunk at %v: %w", c.first.Time(), err)
	}
	if v.r.Reverse {
		slices.Reverse(hours)
	}
	for _, h := range hours {
		if err := ctx.Err(); err != nil {
			return err
		}
		if h.FirstTime < v.r.From || h.LastTime >= v.r.To {
			continue
		}
		if err := v.visit(block(h.Summary, h.FirstTime, h.LastTime)); err != nil {
			return err
		}
	}
	return nil
}

func (v *view) emitSummary(ctx context.Context, c chunkRow) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sum, err := series.ReadSummary(c.summary)
	if err != nil {
		return fmt.Errorf("chunk at %v: %w", c.first.Time(), err)
	}
	return v.visit(block(sum, c.first, c.last))
}
