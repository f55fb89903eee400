package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// Bounds of what is on its way at once.
const (
	statementValues = 1000    // values in one insert; SQLite takes 32,766
	statementBytes  = 1 << 20 // of texts and blobs in one insert
	commitRows      = 20_000  // in one transaction, which must stay short
	commitBytes     = 16 << 20
)

// copyRows copies all tables anew. What an interrupted run has copied goes
// first: rows are few beside readings.
func (t *transfer) copyRows(ctx context.Context) error {
	err := t.change(ctx, func(w store.Writer) error {
		for _, tab := range slices.Backward(t.tables) {
			if _, err := w.ExecContext(ctx, "delete from "+tab.name); err != nil {
				return fmt.Errorf("empty table %s: %w", tab.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, tab := range t.tables {
		if err := t.copyTable(ctx, tab); err != nil {
			return fmt.Errorf("copy table %s: %w", tab.name, err)
		}
	}
	return t.change(ctx, func(w store.Writer) error { return t.state.rowsCopied(ctx, w, t.version) })
}

// rowBatch gathers rows for one insert.
type rowBatch struct {
	table  table
	values []any
	bytes  int
	rows   int
}

func (b *rowBatch) full() bool {
	return len(b.values)+len(b.table.columns) > statementValues || b.bytes >= statementBytes
}

func (b *rowBatch) add(row []any) {
	b.values = append(b.values, row...)
	b.rows++
	for _, v := range row {
		switch v := v.(type) {
		case string:
			b.bytes += len(v)
		case []byte:
			b.bytes += len(v)
		}
	}
}

// statement is the insert of n rows.
func (b *rowBatch) statement() string {
	names := make([]string, len(b.table.columns))
	for i, c := range b.table.columns {
		names[i] = c.name
	}
	var s strings.Builder
	fmt.Fprintf(&s, "insert into %s (%s) values ", b.table.name, strings.Join(names, ", "))
	for i := range b.values {
		switch {
		case i == 0:
			s.WriteString("(")
		case i%len(names) == 0:
			s.WriteString("), (")
		default:
			s.WriteString(", ")
		}
		fmt.Fprintf(&s, "$%d", i+1)
	}
	s.WriteString(")")
	return s.String()
}

func (t *transfer) copyTable(ctx context.Context, tab table) error {
	var tx store.Tx
	defer func() {
		if tx != nil {
			_ = tx.Rollback() // the error that led here is the one to tell
		}
	}()
	b := rowBatch{table: tab}
	rows, bytes := 0, 0
	flush := func(last bool) (err error) {
		if tx == nil {
			if tx, err = t.to.Begin(ctx); err != nil {
				return err
			}
		}
		if b.rows > 0 {
			if _, err := tx.ExecContext(ctx, b.statement(), b.values...); err != nil {
				return err
			}
		}
		rows, bytes = rows+b.rows, bytes+b.bytes
		b = rowBatch{table: tab, values: b.values[:0]}
		if last || rows >= commitRows || bytes >= commitBytes {
			_, err = tx.Commit(ctx)
			tx, rows, bytes = nil, 0, 0
		}
		return err
	}
	err := tab.each(ctx, t.from.Rows(), func(row []any) error {
		b.add(row)
		if b.full() {
			return flush(false)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush(true)
}

// each visits the rows of the table in any order. A row holds int64, float64,
// bool, string, []byte and nil.
func (t table) each(ctx context.Context, q store.Querier, visit func(row []any) error) error {
	names := make([]string, len(t.columns))
	places := make([]any, len(t.columns))
	for i, c := range t.columns {
		names[i], places[i] = c.name, c.kind.place()
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("select %s from %s", strings.Join(names, ", "), t.name))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return err
		}
		row := make([]any, len(places))
		for i, p := range places {
			row[i] = plain(p)
		}
		if err := visit(row); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), ctx.Err())
}

// place is where a value of the kind is scanned to.
func (k kind) place() any {
	switch k {
	case whole:
		return new(sql.NullInt64)
	case boolean:
		return new(sql.NullBool)
	case decimal:
		return new(sql.NullFloat64)
	case text:
		return new(sql.NullString)
	default: // tells an empty blob from none, which []byte would not
		return new(any)
	}
}

func plain(place any) any {
	switch p := place.(type) {
	case *sql.NullInt64:
		if p.Valid {
			return p.Int64
		}
	case *sql.NullBool:
		if p.Valid {
			return p.Bool
		}
	case *sql.NullFloat64:
		if p.Valid {
			return p.Float64
		}
	case *sql.NullString:
		if p.Valid {
			return p.String
		}
	case *any:
		switch v := (*p).(type) {
		case []byte:
			return append([]byte{}, v...)
		case string:
			return []byte(v)
		}
	}
	return nil
}

// rowSum is what a table holds, in any order of its rows.
type rowSum struct {
	rows int64
	hash uint64
}

func (t *transfer) sumTable(ctx context.Context, tab table, q store.Querier) (s rowSum, err error) {
	var h maphash.Hash
	h.SetSeed(t.seed)
	err = tab.each(ctx, q, func(row []any) error {
		h.Reset()
		for _, v := range row {
			hashValue(&h, v)
		}
		s.rows++
		s.hash += h.Sum64() // a sum does not depend on the order
		return nil
	})
	return s, err
}

// hashValue adds a value, in front of which stands its type. Zero bytes and
// bytes that are not UTF-8 count as U+FFFD, as which PostgreSQL holds them.
func hashValue(h *maphash.Hash, v any) {
	switch v := v.(type) {
	case int64:
		hashNumber(h, 'i', uint64(v))
	case float64:
		hashNumber(h, 'f', math.Float64bits(v))
	case bool:
		n := uint64(0)
		if v {
			n = 1
		}
		hashNumber(h, 'b', n)
	case string:
		v = strings.ReplaceAll(strings.ToValidUTF8(v, "\uFFFD"), "\x00", "\uFFFD")
		hashNumber(h, 's', uint64(len(v)))
		_, _ = h.WriteString(v) // never fails
	case []byte:
		hashNumber(h, 'x', uint64(len(v)))
		_, _ = h.Write(v)
	default:
		hashNumber(h, 'n', 0)
	}
}

func hashNumber(h *maphash.Hash, kind byte, n uint64) {
	b := [9]byte{kind, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32), byte(n >> 40), byte(n >> 48), byte(n >> 56)}
	_, _ = h.Write(b[:])
}
