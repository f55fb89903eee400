package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil/internal/series"
)

// sortSlice is the number of chunks that one transaction moves.
const sortSlice = 2000

// sortChunks moves the chunks of a database from before there were partitions
// into them. Each transaction moves some, so a start that is interrupted goes
// on where the last one left off.
func (s *Store) sortChunks(ctx context.Context) error {
	var there bool
	err := s.readers.QueryRowContext(ctx, "select exists (select 1 from sqlite_schema where name = 'chunk_unsorted')").Scan(&there)
	if err != nil || !there {
		return err
	}
	for more, told := true, false; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := 0
		err := s.inTransaction(ctx, func(w *writer) (err error) {
			n, err = s.sortSome(w)
			return err
		})
		if err != nil {
			return fmt.Errorf("move chunks into partitions: %w", err)
		}
		if more = n > 0; more && !told {
			told = true
			s.logger.Info("the readings are being moved into a table per month; this happens once and can be interrupted")
		}
	}
	return s.inTransaction(ctx, func(w *writer) error { return w.exec(ctx, "drop table chunk_unsorted") })
}

type unsorted struct {
	id, readings, bytes int64
}

// sortSome moves the first chunks of the table and gives their number.
func (s *Store) sortSome(w *writer) (n int, err error) {
	list, err := w.unsorted()
	if err != nil {
		return 0, err
	}
	for i := 0; i < len(list); {
		pw, err := s.partAt(w, chunkHour(list[i].id))
		if err != nil {
			return 0, err
		}
		first := list[i].id
		last := first
		for ; i < len(list) && list[i].id>>(hourBits+partBits) == first>>(hourBits+partBits) && chunkHour(list[i].id) < pw.until; i++ {
			last = list[i].id
			pw.readings += list[i].readings
			pw.bytes += list[i].bytes
		}
		move := fmt.Sprintf(`insert or replace into %s select id, hours, first, last, summary, data from chunk_unsorted where id between $1 and $2`, pw.name)
		if err := w.exec(context.Background(), move, first, last); err != nil {
			return 0, err
		}
	}
	if len(list) > 0 {
		err = w.exec(context.Background(), "delete from chunk_unsorted where id <= $1", list[len(list)-1].id)
	}
	return len(list), err
}

func (w *writer) unsorted() (list []unsorted, err error) {
	rows, err := w.conn.QueryContext(context.Background(), "select id, summary, length(data) from chunk_unsorted order by id limit $1", sortSlice)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var u unsorted
		var summary sql.RawBytes
		if err := rows.Scan(&u.id, &summary, &u.bytes); err != nil {
			return nil, err
		}
		u.readings, err = countOf(summary)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, rows.Err()
}

// countOf gives the readings of a chunk; none where its summary is damaged,
// which whoever reads it will say.
func countOf(summary []byte) (int64, error) {
	sum, err := series.ReadSummary(summary)
	if errors.Is(err, series.ErrDamaged) {
		return 0, nil
	}
	return int64(sum.Count), err
}
