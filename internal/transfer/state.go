package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// state is how far a transfer has come. It is one row of the table
// store_transfer in the target, changed in the transaction of what it tells
// about, and gone at the end. While it is there, schema_version has the part
// "transfer", which every database can be asked for.
type state struct {
	source   string // what is moved, see fingerprint
	version  int64  // of the tables when rows were copied; 0: they are not
	series   key    // the last one that readings were committed of; earlier ones are done
	until    trefoil.Instant
	readings int64 // committed so far
}

// key is a series. They are moved in the order of device and metric.
type key struct {
	device trefoil.DeviceID
	metric string
}

const part = "transfer"

// underWay reports whether the database is the target of a transfer that has
// not ended.
func underWay(ctx context.Context, q store.Querier) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, "select count(*) from schema_version where part = $1", part).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for an interrupted move: %w", err)
	}
	return n > 0, nil
}

// Unfinished is an error for a database that is the target of a transfer that
// has not ended: it must not be served.
func Unfinished(ctx context.Context, q store.Querier) error {
	found, err := underWay(ctx, q)
	if err == nil && found {
		err = errors.New("moving another database into this one has not ended; run trefoil migrate-store again with the same --from and --to, which goes on where it was, or name another database")
	}
	return err
}

func loadState(ctx context.Context, q store.Querier) (s state, err error) {
	err = q.QueryRowContext(ctx, "select source, version, device, metric, until, readings from store_transfer").
		Scan(&s.source, &s.version, &s.series.device, &s.series.metric, &s.until, &s.readings)
	if err != nil {
		return s, fmt.Errorf("read how far the move has come: %w", err)
	}
	return s, nil
}

// begin makes the row, in place of an earlier one.
func (s *state) begin(ctx context.Context, w store.Writer, source string) error {
	*s = state{source: source}
	for _, query := range []string{
		`create table if not exists store_transfer (source text not null, version bigint not null,
			device text not null, metric text not null, until bigint not null, readings bigint not null)`,
		"delete from store_transfer",
		`insert into schema_version (part, version, name) values ('transfer', 1, 'store_transfer') on conflict do nothing`,
	} {
		if _, err := w.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("note that the move begins: %w", err)
		}
	}
	_, err := w.ExecContext(ctx, "insert into store_transfer (source, version, device, metric, until, readings) values ($1, 0, '', '', 0, 0)", source)
	if err != nil {
		return fmt.Errorf("note that the move begins: %w", err)
	}
	return nil
}

func (s *state) rowsCopied(ctx context.Context, w store.Writer, version int64) error {
	if _, err := w.ExecContext(ctx, "update store_transfer set version = $1", version); err != nil {
		return fmt.Errorf("note how far the move has come: %w", err)
	}
	s.version = version
	return nil
}

// save is called in the transaction of the readings that it tells about.
func (s *state) save(ctx context.Context, w store.Writer) error {
	_, err := w.ExecContext(ctx, "update store_transfer set device = $1, metric = $2, until = $3, readings = $4",
		string(s.series.device), s.series.metric, int64(s.until), s.readings)
	if err != nil {
		return fmt.Errorf("note how far the move has come: %w", err)
	}
	return nil
}

// invalidate lets the next run begin anew.
func (s *state) invalidate(ctx context.Context, w store.Writer) error {
	_, err := w.ExecContext(ctx, "update store_transfer set source = ''")
	return err
}

func (s *state) end(ctx context.Context, w store.Writer) error {
	for _, query := range []string{"drop table store_transfer", "delete from schema_version where part = 'transfer'"} {
		if _, err := w.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("note that the move has ended: %w", err)
		}
	}
	return nil
}
