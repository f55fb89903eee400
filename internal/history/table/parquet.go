package table

import (
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

// rowGroup is the number of rows that are gathered in memory.
const rowGroup = 100_000

// parquetWriter writes a row group after the other. Columns of a Parquet
// group are in the order of their names.
type parquetWriter struct {
	w     *parquet.GenericWriter[any]
	shape Shape
	names []string // of the columns
	rows  []parquet.Row
}

func newParquet(w io.Writer, shape Shape) *parquetWriter {
	text := parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	number := parquet.Optional(parquet.Leaf(parquet.DoubleType))
	group := parquet.Group{
		"time":        parquet.Timestamp(parquet.Microsecond),
		shape.owner(): text, "metric": text, "unit": text,
	}
	if len(shape.Aggregates) == 0 {
		group["kind"], group["value"], group["text"] = text, number, parquet.Optional(parquet.String())
	}
	for _, a := range shape.Aggregates {
		group[string(a)] = number
		switch a {
		case history.First, history.Last:
			group[string(a)+"_text"] = parquet.Optional(parquet.String())
		case history.States:
			group[string(a)] = parquet.Optional(parquet.JSON())
		}
	}
	p := &parquetWriter{shape: shape}
	for name := range group {
		p.names = append(p.names, name)
	}
	slices.Sort(p.names)
	p.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("readings", group), parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(rowGroup))
	return p
}

func (p *parquetWriter) Append(s history.Series, unit string) error {
	fixed := map[string]string{p.shape.owner(): owner(s, p.shape), "metric": s.Metric, "unit": unit}
	const at1 = 1000 // rows that are handed over at a time
	for from := 0; from < len(s.T); from += at1 {
		p.rows = p.rows[:0]
		for i := from; i < min(from+at1, len(s.T)); i++ {
			p.rows = append(p.rows, p.row(s, i, fixed))
		}
		if _, err := p.w.WriteRows(p.rows); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
	}
	return nil
}

func (p *parquetWriter) row(s history.Series, i int, fixed map[string]string) parquet.Row {
	row := make(parquet.Row, len(p.names))
	for k, name := range p.names {
		value, optional := p.cell(s, i, name, fixed)
		level := 0
		if optional && !value.IsNull() {
			level = 1
		}
		row[k] = value.Level(0, level, k)
	}
	return row
}

func (p *parquetWriter) cell(s history.Series, i int, name string, fixed map[string]string) (v parquet.Value, optional bool) {
	if text, ok := fixed[name]; ok {
		return parquet.ByteArrayValue([]byte(text)), false
	}
	switch name {
	case "time":
		return parquet.Int64Value(int64(s.T[i])), false
	case "kind":
		return parquet.ByteArrayValue([]byte(kindOf(s.V[i]))), false
	case "value":
		return numberCell(s.V[i]), true
	case "text":
		return textCell(s.V[i]), true
	}
	for _, c := range s.Columns {
		switch {
		case name == string(history.States) && c.States != nil:
			return parquet.ByteArrayValue(AppendStates(nil, c.States[i])), true
		case name == string(c.Aggregate):
			return numberCell(c.V[i]), true
		case name == string(c.Aggregate)+"_text":
			return textCell(c.V[i]), true
		}
	}
	return parquet.NullValue(), true
}

// numberCell holds numbers, and booleans as 0 and 1.
func numberCell(v trefoil.Value) parquet.Value {
	if v.Kind() == trefoil.Number || v.Kind() == trefoil.Boolean {
		return parquet.DoubleValue(v.Float())
	}
	return parquet.NullValue()
}

func textCell(v trefoil.Value) parquet.Value {
	if v.Kind() == trefoil.Text {
		return parquet.ByteArrayValue([]byte(v.Text()))
	}
	return parquet.NullValue()
}

func (p *parquetWriter) Close() error {
	if err := p.w.Close(); err != nil {
		return fmt.Errorf("end the Parquet file: %w", err)
	}
	return nil
}
