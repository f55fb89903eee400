package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Commit writes what was appended and makes the transaction durable.
func (t *tx) Commit(ctx context.Context) (trefoil.Seq, error) {
	if t.ended {
		return 0, errEnded
	}
	seq, err := t.write(ctx)
	if err != nil {
		t.s.stale = true // a partition or a series may not be as known
		return 0, errors.Join(err, t.Rollback())
	}
	t.end()
	if err := t.s.commit(ctx, t.w, seq); err != nil {
		return 0, err
	}
	for _, x := range t.fresh {
		x.fresh = false
	}
	t.s.known.apply(t.change)
	t.s.upkeep.pending = t.s.upkeep.pending || t.change.dropped
	t.s.seq.Store(uint64(seq))
	return seq, nil
}

// write does everything but the commit, and gives its number.
func (t *tx) write(ctx context.Context) (trefoil.Seq, error) {
	if err := errors.Join(t.fault, ctx.Err()); err != nil {
		return 0, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := t.numberSeries(ctx); err != nil {
		return 0, fmt.Errorf("make series: %w", err)
	}
	if err := t.makePartitions(ctx, t.rows); err != nil {
		return 0, err
	}
	t.rows = settle(t.rows)
	t.s.buffer.encode(t.rows)
	return t.send(ctx)
}

// numberSeries makes the new series that rows need.
func (t *tx) numberSeries(ctx context.Context) error {
	type key struct{ device, metric string }
	fresh := map[key]*serie{}
	for i := range t.rows {
		if x := t.rows[i].series; x.id == 0 {
			fresh[key{string(x.device), x.metric}] = x
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	keys := make([]key, 0, len(fresh))
	for k := range fresh {
		keys = append(keys, k)
	}
	// In order, so that several processes cannot block each other.
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(strings.Compare(a.device, b.device), strings.Compare(a.metric, b.metric))
	})
	var devices, metrics array
	devices.reset(pgtype.TextOID)
	metrics.reset(pgtype.TextOID)
	for _, k := range keys {
		devices.string(k.device)
		metrics.string(k.metric)
	}
	return t.w.native(func(pg *pgconn.PgConn) error {
		params := [][]byte{devices.encoded(len(keys)), metrics.encoded(len(keys))}
		r := pg.ExecPrepared(ctx, insertSeries, params, binaryFormat, nil).Read()
		for _, row := range r.Rows {
			id, err := strconv.ParseInt(string(row[2]), 10, 64)
			if err != nil {
				return err
			}
			x := fresh[key{string(row[0]), string(row[1])}]
			x.id, x.fresh = id, true
			t.fresh = append(t.fresh, x)
		}
		return r.Err
	})
}

// binaryFormat is the format of all parameters.
var binaryFormat = []int16{1}

// errStale means that another process changed what this one knows; the next
// try knows better.
var errStale = errors.New("another process has dropped series; what is known about series is read again")

// send writes readings and takes the number of the commit, in one round trip.
func (t *tx) send(ctx context.Context) (seq trefoil.Seq, err error) {
	b := &t.s.buffer
	batch := &pgconn.Batch{}
	if b.numbers.n > 0 {
		batch.ExecPrepared(insertNumbers, b.numbers.numbers(), binaryFormat, nil)
	}
	if b.others.n > 0 {
		batch.ExecPrepared(insertOthers, b.others.all(), binaryFormat, nil)
	}
	if b.latest.n > 0 {
		batch.ExecPrepared(updateLatest, b.latest.all(), binaryFormat, nil)
	}
	if b.first.n > 0 {
		batch.ExecPrepared(insertLatest, b.first.all(), binaryFormat, nil)
	}
	batch.ExecPrepared(numberCommit, t.commitParams(), nil, nil)
	err = t.w.native(func(pg *pgconn.PgConn) error {
		results, err := pg.ExecBatch(ctx, batch).ReadAll()
		if err != nil {
			return fmt.Errorf("write %d readings: %w", len(t.rows), err)
		}
		last := results[len(results)-1]
		if len(last.Rows) == 0 {
			return errStale
		}
		n, err := strconv.ParseUint(string(last.Rows[0][0]), 10, 63)
		seq = trefoil.Seq(n)
		return err
	})
	return seq, err
}

func (t *tx) commitParams() [][]byte {
	dropped := "0"
	if t.change.dropped {
		dropped = "1"
	}
	return [][]byte{strconv.AppendInt(nil, t.s.known.drops, 10), []byte(dropped), []byte(t.s.name)}
}

// commit ends the transaction. When the connection is lost while the commit
// is on its way, nobody knows whether it happened, and the error says so.
func (s *Store) commit(ctx context.Context, w *writer, seq trefoil.Seq) error {
	tag, err := w.exec(ctx, "commit")
	var refused *pgconn.PgError
	switch {
	case err == nil && tag == "COMMIT":
		if w.bound(0) != nil {
			s.discard() // it is lost, but it has delivered the answer
		}
		return nil
	case err == nil:
		err = fmt.Errorf("the database answered %s", tag)
	case !errors.As(err, &refused) || refused.Severity != "ERROR":
		s.doubt = seq
		s.discard()
		return fmt.Errorf("%w: %w", store.ErrInDoubt, err)
	}
	s.stale = true
	s.rollback(w)
	return err
}

// resolve finds out whether the commit that is in doubt happened. It ends the
// connection that carried it first, so that it cannot happen afterwards.
func (s *Store) resolve(ctx context.Context) error {
	if s.doubt == 0 {
		return nil
	}
	landed, err := s.landed(ctx)
	if err != nil {
		s.discard()
		return fmt.Errorf("%w: %w", store.ErrInDoubt, err)
	}
	seq := s.doubt
	s.doubt = 0
	if !landed {
		return nil
	}
	s.seq.Store(uint64(seq))
	return &store.LandedError{Seq: seq}
}

func (s *Store) landed(ctx context.Context) (bool, error) {
	if s.writer == nil {
		if err := s.connect(ctx); err != nil {
			return false, fmt.Errorf("connect: %w", err)
		}
	}
	if err := s.writer.bound(patience); err != nil {
		return false, err
	}
	alive, err := s.endLost(ctx)
	if err != nil {
		return false, err
	}
	if alive > 0 {
		return false, errors.New("the database is still ending the connection that was lost")
	}
	var seq int64
	err = s.writer.conn.QueryRowContext(ctx, "select coalesce(max(seq), 0) from commit_writer where name = $1", s.name).Scan(&seq)
	if err != nil {
		return false, fmt.Errorf("read the last commit: %w", err)
	}
	return trefoil.Seq(seq) >= s.doubt, nil
}
