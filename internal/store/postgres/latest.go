package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/trefoil-iot/trefoil"
)

// Latest gives the newest reading of every metric of the device.
func (s *Store) Latest(ctx context.Context, id trefoil.DeviceID) ([]trefoil.Reading, error) {
	out := []trefoil.Reading{}
	err := s.each(ctx, `select s.metric, l.time, l.value, l.boolean, l.text, l.bytes
		from series s join latest l on l.series_id = s.id where s.device = $1`,
		func(row [][]byte) {
			out = append(out, trefoil.Reading{Metric: string(row[0]), Time: readTime(row[1]), Value: readValue(row[2:])})
		}, string(id))
	if err != nil {
		return nil, fmt.Errorf("read the latest of device %s: %w", id, err)
	}
	slices.SortFunc(out, func(a, b trefoil.Reading) int { return strings.Compare(a.Metric, b.Metric) })
	return out, nil
}

// Metrics gives the names of all metrics of the device.
func (s *Store) Metrics(ctx context.Context, id trefoil.DeviceID) ([]string, error) {
	names := []string{}
	err := s.each(ctx, "select metric from series where device = $1",
		func(row [][]byte) { names = append(names, string(row[0])) }, string(id))
	if err != nil {
		return nil, fmt.Errorf("read the metrics of device %s: %w", id, err)
	}
	slices.Sort(names)
	return names, nil
}

// each runs a query and visits its rows in their binary form, which is valid
// until the next one.
func (s *Store) each(ctx context.Context, query string, visit func(row [][]byte), args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rows, err := s.readers.Query(ctx, query, storableArgs(args)...)
	if err != nil {
		return err
	}
	return visitRows(rows, visit)
}

func visitRows(rows pgx.Rows, visit func(row [][]byte)) error {
	defer rows.Close()
	for rows.Next() {
		visit(rows.RawValues())
	}
	return rows.Err()
}
