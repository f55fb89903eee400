package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// load fills the index from the table of series and the heads from the log.
func (s *Store) load(ctx context.Context) error {
	byID, err := s.loadSeries(ctx)
	if err != nil {
		return fmt.Errorf("load the series: %w", err)
	}
	var last sql.NullInt64
	err = s.readers.QueryRowContext(ctx, "select max(seq) from sqlite_sequence where name = 'series'").Scan(&last)
	if err != nil {
		return fmt.Errorf("load the number of the last series: %w", err)
	}
	s.nextID = last.Int64 + 1
	var cut int64
	if err := s.readers.QueryRowContext(ctx, "select seq from log_cut").Scan(&cut); err != nil {
		return fmt.Errorf("load the beginning of the log: %w", err)
	}
	s.seq.Store(uint64(cut))
	s.upkeep.low = cut
	if err := s.loadParts(ctx); err != nil {
		return fmt.Errorf("load the partitions: %w", err)
	}
	if err := s.sortChunks(ctx); err != nil {
		return err
	}
	if err := s.loadDrops(ctx); err != nil {
		return fmt.Errorf("load what retention did: %w", err)
	}
	if err := s.loadSweep(ctx); err != nil {
		return fmt.Errorf("load the dropped series: %w", err)
	}
	if err := s.replay(ctx, byID); err != nil {
		return fmt.Errorf("replay the log: %w", err)
	}
	return nil
}

func (s *Store) loadSeries(ctx context.Context) (map[int64]*serie, error) {
	rows, err := s.readers.QueryContext(ctx, "select id, device, metric, latest, stored from series order by id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byID := map[int64]*serie{}
	lists := map[trefoil.DeviceID][]*serie{}
	for rows.Next() {
		x := &serie{}
		var id trefoil.DeviceID
		var latest sql.RawBytes
		if err := rows.Scan(&x.id, &id, &x.metric, &latest, &x.stored); err != nil {
			return nil, err
		}
		if x.latest, err = decodeSample(latest); err != nil {
			return nil, err
		}
		byID[x.id] = x
		s.all = append(s.all, x)
		lists[id] = append(lists[id], x)
	}
	for id, list := range lists {
		s.devices[id] = newDevice(list)
	}
	return byID, rows.Err()
}

func (s *Store) loadSweep(ctx context.Context) error {
	rows, err := s.readers.QueryContext(ctx, "select id from dropped_series order by id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		s.upkeep.sweep = append(s.upkeep.sweep, id)
	}
	return rows.Err()
}

func (s *Store) replay(ctx context.Context, byID map[int64]*serie) error {
	rows, err := s.readers.QueryContext(ctx, "select seq, data from log order by seq")
	if err != nil {
		return err
	}
	defer rows.Close()
	var grown int64
	for rows.Next() {
		var seq int64
		var data sql.RawBytes
		if err := rows.Scan(&seq, &data); err != nil {
			return err
		}
		err := readBatch(data, func(id int64, t trefoil.Instant, v trefoil.Value) {
			if x := byID[id]; x != nil { // nil: dropped since
				grown += x.append(t, v)
			}
		})
		if err != nil {
			return fmt.Errorf("commit %d: %w", seq, err)
		}
		s.seq.Store(uint64(seq))
	}
	s.headBytes.Store(grown)
	return rows.Err()
}

// encodeSample writes a sample as the time, the kind and the value.
func encodeSample(x store.Sample) []byte {
	var b batch
	b.add(0, x.Time, x.Value)
	return b.buf
}

// decodeSample reads what encodeSample wrote; the empty slice is the zero
// sample.
func decodeSample(p []byte) (store.Sample, error) {
	var x store.Sample
	if len(p) == 0 {
		return x, nil
	}
	err := readReadings(p, func(_ int64, t trefoil.Instant, v trefoil.Value) {
		x = store.Sample{Time: t, Value: v}
	})
	return x, err
}
