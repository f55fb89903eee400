package table

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/payload"
)

// Row is one reading of a table.
type Row struct {
	Line   int // in the text, or number of the row, from 1
	Device string
	Unit   string // as it was written; "" where there is none
	trefoil.Reading
}

// Visit takes one reading, or the error of a line that is none. An error of
// its own ends the reading of the table and is returned.
type Visit func(r Row, bad error) error

// ReadCSV reads comma-separated values with a line of names first: device,
// time (or ts, timestamp, ms), and metric, value and perhaps kind; or instead
// of those a column for each metric. Rows without a device get the given one.
func ReadCSV(r io.Reader, device string, visit Visit) error {
	in := csv.NewReader(r)
	in.FieldsPerRecord, in.ReuseRecord = -1, true
	names, err := in.Read()
	if err != nil {
		return fmt.Errorf("read the line of names: %w", err)
	}
	c, err := columnsOf(names, device)
	if err != nil {
		return err
	}
	for {
		record, err := in.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &wrong):
			err = visit(Row{Line: wrong.Line}, wrong.Err)
		case err != nil:
			return fmt.Errorf("read: %w", err)
		default:
			line, _ := in.FieldPos(0)
			err = c.record(line, record, visit)
		}
		if err != nil {
			return err
		}
	}
}

// csvColumns says what the columns of a file hold; -1 for none.
type csvColumns struct {
	time, ms, device, metric, value, kind, unit int

	count   int
	given   string         // device of rows without one
	metrics map[int]string // of a table with a column for each
}

func columnsOf(names []string, device string) (*csvColumns, error) {
	own := make([]string, len(names))
	for i, n := range names {
		own[i] = strings.TrimSpace(strings.TrimPrefix(n, "\ufeff"))
	}
	at := func(all ...string) int {
		return slices.IndexFunc(own, func(n string) bool { return slices.Contains(all, strings.ToLower(n)) })
	}
	c := &csvColumns{
		time: at("time", "ts", "timestamp", "_time"), ms: at("ms"), device: at("device"), metric: at("metric"),
		value: at("value"), kind: at("kind"), unit: at("unit"), count: len(own), given: device,
	}
	switch {
	case c.time < 0 && c.ms < 0:
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "no column for the time; name it time, ts, timestamp or ms (there are %s)", strings.Join(own, ", "))
	case c.device < 0 && device == "":
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "no column device; say which device the readings are of (there are %s)", strings.Join(own, ", "))
	case c.metric >= 0 && c.value >= 0:
		return c, nil
	}
	c.metrics = make(map[int]string)
	for i, n := range own {
		if i != c.time && i != c.ms && i != c.device && i != c.unit && n != "" {
			c.metrics[i] = n
		}
	}
	if len(c.metrics) == 0 {
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "no columns metric and value, and none for a metric (there are %s)", strings.Join(own, ", "))
	}
	return c, nil
}

func (c *csvColumns) record(line int, record []string, visit Visit) error {
	cell := func(i int) string {
		if i < 0 {
			return ""
		}
		return record[i]
	}
	if len(record) != c.count {
		return visit(Row{Line: line}, trefoil.Errorf(trefoil.CodeInvalid, "%d columns where there should be %d", len(record), c.count))
	}
	row := Row{Line: line, Device: c.given, Unit: cell(c.unit)}
	if d := cell(c.device); d != "" {
		row.Device = d
	}
	var err error
	if row.Time, err = timeOf(cell(c.ms), cell(c.time)); err != nil {
		return visit(row, err)
	}
	if c.metrics == nil {
		row.Metric = cell(c.metric)
		row.Value, err = valueOf(cell(c.value), cell(c.kind))
		return visit(row, err)
	}
	for i := range record {
		if row.Metric = c.metrics[i]; row.Metric == "" || record[i] == "" {
			continue
		}
		row.Value, err = valueOf(record[i], "")
		if err := visit(row, err); err != nil {
			return err
		}
	}
	return nil
}

// timeOf reads milliseconds or, where there are none, a time as in payloads.
func timeOf(ms, text string) (trefoil.Instant, error) {
	if ms == "" {
		return payload.ParseTime(strings.TrimSpace(text))
	}
	whole, fraction, _ := strings.Cut(ms, ".")
	n, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
	if err != nil || len(fraction) > 3 {
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "%q is no time in Unix milliseconds", ms)
	}
	return trefoil.Instant(n), nil
}

// valueOf reads a value of a kind; without one true and false are booleans,
// and what looks like a number is one.
func valueOf(text, kind string) (trefoil.Value, error) {
	f, notNumber := strconv.ParseFloat(text, 64)
	isNumber := notNumber == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	isBoolean := text == "true" || text == "false"
	switch {
	case kind == "text" || kind == "" && !isNumber && !isBoolean && text != "":
		return trefoil.TextValue(text), nil
	case kind == "boolean" && isBoolean || kind == "" && isBoolean:
		return trefoil.BooleanValue(text == "true"), nil
	case kind == "number" && isNumber || kind == "" && isNumber:
		return trefoil.NumberValue(f), nil
	case kind == "":
		return trefoil.Value{}, trefoil.Errorf(trefoil.CodeInvalid, "there is no value")
	default:
		return trefoil.Value{}, trefoil.Errorf(trefoil.CodeInvalid, "%q is no value of the kind %q; kinds are number, boolean, text", text, kind)
	}
}

// maxLine bounds a line of JSON.
const maxLine = 1 << 20

// ReadNDJSON reads an object per line: {"device", "time" or "ms" or "ts",
// "metric", "value"}, or {"device", "ts", "values": {metric: value}}. Objects
// without a device get the given one.
func ReadNDJSON(r io.Reader, device string, visit Visit) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxLine)
	var p fastjson.Parser
	for n := 1; in.Scan(); n++ {
		line := bytes.TrimSpace(in.Bytes())
		if len(line) == 0 {
			continue
		}
		row := Row{Line: n, Device: device}
		v, err := p.ParseBytes(line)
		if err != nil || v.Type() != fastjson.TypeObject {
			err = visit(row, trefoil.Errorf(trefoil.CodeInvalid, "not a JSON object"))
		} else {
			err = object(v, row, visit)
		}
		if err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

func object(v *fastjson.Value, row Row, visit Visit) error {
	if d := v.GetStringBytes("device"); len(d) > 0 {
		row.Device = string(d)
	}
	row.Unit = string(v.GetStringBytes("unit"))
	var err error
	if row.Time, err = objectTime(v); err != nil {
		return visit(row, err)
	}
	if values := v.GetObject("values"); values != nil {
		var end error
		values.Visit(func(name []byte, x *fastjson.Value) {
			if end == nil {
				row.Metric = string(name)
				row.Value, err = jsonValue(x)
				end = visit(row, err)
			}
		})
		return end
	}
	row.Metric = string(v.GetStringBytes("metric"))
	row.Value, err = jsonValue(v.Get("value"))
	return visit(row, err)
}

func objectTime(v *fastjson.Value) (trefoil.Instant, error) {
	ms, text := "", ""
	if x := v.Get("ms"); x != nil {
		ms = string(x.MarshalTo(nil))
	}
	for _, name := range []string{"time", "ts", "timestamp"} {
		switch x := v.Get(name); {
		case x == nil || text != "":
		case x.Type() == fastjson.TypeString:
			text = string(x.GetStringBytes())
		default:
			text = string(x.MarshalTo(nil))
		}
	}
	if ms == "" && text == "" {
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "there is no time; name it time, ts or ms")
	}
	return timeOf(ms, text)
}

func jsonValue(v *fastjson.Value) (trefoil.Value, error) {
	switch {
	case v == nil:
	case v.Type() == fastjson.TypeNumber:
		if f, err := v.Float64(); err == nil && !math.IsInf(f, 0) {
			return trefoil.NumberValue(f), nil
		}
	case v.Type() == fastjson.TypeTrue, v.Type() == fastjson.TypeFalse:
		return trefoil.BooleanValue(v.Type() == fastjson.TypeTrue), nil
	case v.Type() == fastjson.TypeString:
		return trefoil.TextValue(string(v.GetStringBytes())), nil
	}
	return trefoil.Value{}, trefoil.Errorf(trefoil.CodeInvalid, "there is no value; allowed are numbers, booleans and texts")
}
