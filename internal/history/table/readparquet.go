package table

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/trefoil-iot/trefoil"
)

// ReadParquet reads a file with the columns that the writer of this package
// makes for single readings: time, device, metric, value, and perhaps kind,
// text and unit. Rows without a device get the given one.
func ReadParquet(r io.ReaderAt, size int64, device string, visit Visit) error {
	f, err := parquet.OpenFile(r, size)
	if err != nil {
		return fmt.Errorf("open the Parquet file: %w", err)
	}
	c := parquetColumns{device: device, index: make(map[string]int)}
	for i, path := range f.Schema().Columns() {
		if len(path) == 1 {
			c.index[path[0]] = i
		}
	}
	for _, name := range []string{"time", "metric", "value"} {
		if _, ok := c.index[name]; !ok {
			return trefoil.Errorf(trefoil.CodeInvalid, "the Parquet file has no column %s; it needs time, device, metric and value", name)
		}
	}
	if c.perMicro, c.microsPer, err = unitOf(f.Schema()); err != nil {
		return err
	}
	for _, g := range f.RowGroups() {
		if err := c.group(g, visit); err != nil {
			return err
		}
	}
	return nil
}

type parquetColumns struct {
	device              string
	index               map[string]int
	perMicro, microsPer int64 // one of both is 1
	line                int
}

// unitOf tells how the column of times counts.
func unitOf(s *parquet.Schema) (perMicro, microsPer int64, err error) {
	column, ok := s.Lookup("time")
	if ok && column.Node.Type().LogicalType() != nil {
		if t, ok := column.Node.Type().LogicalType().Value.(*format.TimestampType); ok && t.Unit.Value != nil {
			d := t.Unit.Value.Duration()
			return max(int64(time.Microsecond/d), 1), max(int64(d/time.Microsecond), 1), nil
		}
	}
	return 0, 0, trefoil.Errorf(trefoil.CodeInvalid, "the column time of the Parquet file is no timestamp")
}

func (c *parquetColumns) group(g parquet.RowGroup, visit Visit) error {
	rows := g.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, 256)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			c.line++
			if err := visit(c.row(row)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read rows after %d: %w", c.line, err)
		}
	}
}

func (c *parquetColumns) row(row parquet.Row) (Row, error) {
	cell := func(name string) parquet.Value {
		i, ok := c.index[name]
		if !ok {
			return parquet.NullValue()
		}
		at := slices.IndexFunc(row, func(v parquet.Value) bool { return v.Column() == i })
		if at < 0 {
			return parquet.NullValue()
		}
		return row[at]
	}
	text := func(name string) string { return string(cell(name).ByteArray()) }
	out := Row{Line: c.line, Device: c.device, Unit: text("unit")}
	if d := text("device"); d != "" {
		out.Device = d
	}
	out.Metric = text("metric")
	out.Time = trefoil.Instant(cell("time").Int64() / c.perMicro * c.microsPer)
	value, written := cell("value"), cell("text")
	switch kind := text("kind"); {
	case !written.IsNull():
		out.Value = trefoil.TextValue(text("text"))
	case value.IsNull():
		return out, trefoil.Errorf(trefoil.CodeInvalid, "there is no value")
	case value.Kind() == parquet.Boolean:
		out.Value = trefoil.BooleanValue(value.Boolean())
	case value.Kind() != parquet.Double && value.Kind() != parquet.Float && value.Kind() != parquet.Int64 && value.Kind() != parquet.Int32:
		return out, trefoil.Errorf(trefoil.CodeInvalid, "the value is no number")
	case kind == "boolean":
		out.Value = trefoil.BooleanValue(floatOf(value) != 0)
	default:
		out.Value = trefoil.NumberValue(floatOf(value))
	}
	return out, nil
}

func floatOf(v parquet.Value) float64 {
	switch v.Kind() {
	case parquet.Double:
		return v.Double()
	case parquet.Float:
		return float64(v.Float())
	case parquet.Int32:
		return float64(v.Int32())
	default:
		return float64(v.Int64())
	}
}
