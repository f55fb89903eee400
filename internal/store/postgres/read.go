package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Samples in a block, and rows that one query fetches: few at first, as many
// readers stop at once, then more.
const (
	blockSize = 1024
	firstPage = blockSize
	lastPage  = 16 * blockSize
)

// Read visits the readings of one series.
func (s *Store) Read(ctx context.Context, r store.ReadRequest, visit func(store.Block) error) error {
	r.From, r.To = max(r.From, minTime), min(r.To, maxTime)
	if err := ctx.Err(); err != nil || r.From >= r.To {
		return err
	}
	r.Metric = storable(r.Metric)
	if r.Resolution >= time.Microsecond {
		err := s.summarize(ctx, &r, visit)
		if !overflows(err) {
			return err
		}
	}
	return s.page(ctx, r, visit)
}

// pageQuery reads a part of a range; the order of time is put in twice.
const pageQuery = `select time, value, boolean, text, bytes from reading
	where series_id = (select id from series where device = $1 and metric = $2) and time >= $3 and time < $4
	order by time %s limit $5`

// pager reads a series page by page in one transaction, which sees one state.
type pager struct {
	r     store.ReadRequest
	query string
	visit func(store.Block) error
	block store.Block
}

func (s *Store) page(ctx context.Context, r store.ReadRequest, visit func(store.Block) error) (err error) {
	conn, err := s.readers.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect for reading: %w", err)
	}
	defer conn.Release() // which also ends the transaction, should the rollback fail
	order := "asc"
	if r.Reverse {
		order = "desc"
	}
	p := &pager{r: r, query: fmt.Sprintf(pageQuery, order), visit: visit}
	p.block.Samples = make([]store.Sample, 0, blockSize)
	opening := "begin isolation level repeatable read read only"
	for size, more := firstPage, true; more; size = min(4*size, lastPage) {
		if more, err = p.fetch(ctx, conn.Conn(), opening, size); err != nil {
			break
		}
		opening = ""
	}
	if _, undo := conn.Exec(context.WithoutCancel(ctx), "rollback"); err == nil && undo != nil {
		err = undo
	}
	return err
}

// fetch reads one page and visits its blocks.
func (p *pager) fetch(ctx context.Context, conn *pgx.Conn, opening string, size int) (more bool, err error) {
	batch := &pgx.Batch{}
	if opening != "" {
		batch.Queue(opening)
	}
	batch.Queue(p.query, string(p.r.Device), p.r.Metric, p.r.From.Time(), p.r.To.Time(), size)
	results := conn.SendBatch(ctx, batch)
	defer results.Close()
	if opening != "" {
		if _, err := results.Exec(); err != nil {
			return false, fmt.Errorf("read: %w", err)
		}
	}
	rows, err := results.Query()
	if err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		row := rows.RawValues()
		if err := p.add(ctx, store.Sample{Time: readTime(row[0]), Value: readValue(row[1:])}); err != nil {
			return false, err
		}
	}
	if err := rows.Err(); err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	return n == size, p.flush(ctx)
}

func (p *pager) add(ctx context.Context, x store.Sample) error {
	addSample(&p.block, x)
	if p.r.Reverse {
		p.r.To = x.Time
	} else {
		p.r.From = x.Time + 1
	}
	if p.block.Count == blockSize {
		return p.flush(ctx)
	}
	return nil
}

func (p *pager) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil || p.block.Count == 0 {
		return err
	}
	b := p.block
	if p.r.Reverse {
		b.First, b.Last = b.Last, b.First
	}
	p.block.Count = 0
	return p.visit(b)
}

// summaryQuery adds up between multiples of a width. The first multiple, $6,
// is before all times, because date_bin rounds up before its origin in some
// versions. First and last readings are looked up by their times.
const summaryQuery = `with id as (select id from series where device = $1 and metric = $2)
	select a.n, a.low, a.high, a.total, a.first, a.last,
		f.value, f.boolean, f.text, f.bytes, l.value, l.boolean, l.text, l.bytes
	from (
		select count(*) n, min(coalesce(value, 0)) low, max(coalesce(value, 0)) high, sum(coalesce(value, 0)) total,
			min(time) first, max(time) last
		from reading
		where series_id = (select id from id) and time >= $3 and time < $4
		group by date_bin($5::bigint * interval '1 microsecond', time, $6)
	) a
	cross join lateral (select value, boolean, text, bytes from reading
		where series_id = (select id from id) and time = a.first and time >= $3 and time < $4 limit 1) f
	cross join lateral (select value, boolean, text, bytes from reading
		where series_id = (select id from id) and time = a.last and time >= $3 and time < $4 limit 1) l
	order by a.first `

// summarize visits summaries. It moves the range of r behind what it has
// visited, so that the rest can be read in another way.
func (s *Store) summarize(ctx context.Context, r *store.ReadRequest, visit func(store.Block) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the query of a visit that stopped
	query := summaryQuery
	if r.Reverse {
		query += "desc"
	}
	width := trefoil.Instant(r.Resolution.Microseconds())
	rows, err := s.readers.Query(ctx, query, string(r.Device), r.Metric, r.From.Time(), r.To.Time(),
		int64(width), floor(minTime, width).Time())
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		b := summary(rows.RawValues())
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(b); err != nil {
			cancel()
			return err
		}
		if r.Reverse {
			r.To = b.First.Time
		} else {
			r.From = b.Last.Time + 1
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

func summary(row [][]byte) store.Block {
	return store.Block{
		Count: int(readInt(row[0])), Min: readFloat(row[1]), Max: readFloat(row[2]), Sum: readFloat(row[3]),
		First: store.Sample{Time: readTime(row[4]), Value: readValue(row[6:10])},
		Last:  store.Sample{Time: readTime(row[5]), Value: readValue(row[10:14])},
	}
}

// overflows reports whether a sum was too large, which PostgreSQL takes for
// an error and callers of the store expect to be infinite.
func overflows(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "22003" // numeric_value_out_of_range
}

// floor rounds t down to a multiple of width.
func floor(t, width trefoil.Instant) trefoil.Instant {
	r := t % width
	if r < 0 {
		r += width
	}
	return t - r
}
