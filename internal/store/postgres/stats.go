package postgres

import (
	"context"
	"fmt"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// fewBytes is the size of the readings up to which Stats counts them.
const fewBytes = 16 << 20

// sizeQuery gives the size of all tables of the schema, and an estimate of
// the readings from the density of pages, as the planner does it.
const sizeQuery = `select
	(select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class
		where relnamespace = current_schema()::regnamespace and relkind in ('r', 'm')),
	(select count(*) from series),
	(select coalesce(sum(pg_relation_size(c.oid)), 0)::bigint from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'reading'::regclass),
	(select coalesce(sum(case when c.relpages > 0 and c.reltuples > 0
			then c.reltuples / c.relpages * pg_relation_size(c.oid) / current_setting('block_size')::integer
			else pg_relation_size(c.oid) / 52 end), 0)::bigint
		from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'reading'::regclass)`

// Stats tells about size and state. Readings are counted while they are few
// and estimated when they are many.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	out := store.Stats{Engine: "postgres"}
	var bytes int64
	err := s.rows.QueryRowContext(ctx, sizeQuery).Scan(&out.Bytes, &out.Series, &bytes, &out.Readings)
	if err == nil && bytes <= fewBytes {
		err = s.rows.QueryRowContext(ctx, "select count(*) from reading where series_id in (select id from series)").Scan(&out.Readings)
	}
	if err != nil {
		return store.Stats{}, fmt.Errorf("ask the database for its size: %w", err)
	}
	return out, nil
}
