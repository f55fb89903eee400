package table_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/history/table"
)

// hard are series with everything that a format may get wrong; enough rows
// for several row groups of Parquet and several pages of a column.
func hard() []history.Series {
	r := rand.New(rand.NewPCG(1, 2))
	var all []history.Series
	for d := range 3 {
		for m, metric := range []string{"temperature", `od"d, na,me`, "on", "door"} {
			s := history.Series{Device: trefoil.DeviceID(fmt.Sprint("dev-", d)), Metric: metric}
			for i := range 30_000 {
				s.T = append(s.T, trefoil.Instant(1_700_000_000_000_000+int64(i)*10_000_000+r.Int64N(1_000_000)))
				s.V = append(s.V, hardValue(r, m))
			}
			all = append(all, s)
		}
	}
	return all
}

func hardValue(r *rand.Rand, metric int) trefoil.Value {
	switch metric {
	case 0:
		return trefoil.NumberValue(math.Round(r.NormFloat64()*100) / 100)
	case 1:
		return trefoil.NumberValue([]float64{0, -0.1, 1e300, 5e-324, math.MaxInt64, 1.0 / 3}[r.IntN(6)])
	case 2:
		return trefoil.BooleanValue(r.IntN(2) == 0)
	default:
		return trefoil.TextValue([]string{"open", "true", "21.5", "", " a ", "x,\"y\"\r\nz", "ünï", "null"}[r.IntN(8)])
	}
}

func read(f table.Format, b []byte, visit table.Visit) error {
	switch f {
	case table.CSV:
		return table.ReadCSV(bytes.NewReader(b), "", visit)
	case table.NDJSON:
		return table.ReadNDJSON(bytes.NewReader(b), "", visit)
	default:
		return table.ReadParquet(bytes.NewReader(b), int64(len(b)), "", visit)
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	all := hard()
	for _, f := range table.Formats() {
		var out bytes.Buffer
		w := table.NewWriter(f, &out, table.Shape{})
		for _, s := range all {
			if err := w.Append(s, "°C"); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		at, i := 0, 0
		err := read(f, out.Bytes(), func(r table.Row, bad error) error {
			s := all[at]
			want := trefoil.Reading{Metric: s.Metric, Time: s.T[i], Value: s.V[i]}
			if f == table.CSV && want.Value.Text() != "" { // encoding/csv reads \r\n as \n
				want.Value = trefoil.TextValue(strings.ReplaceAll(want.Value.Text(), "\r\n", "\n"))
			}
			if bad != nil || r.Reading != want || r.Device != string(s.Device) || r.Unit != "°C" {
				return fmt.Errorf("row %d of %s %s: got %+v, %v; want %+v", i, s.Device, s.Metric, r, bad, want)
			}
			if i++; i == len(s.T) {
				at, i = at+1, 0
			}
			return nil
		})
		if err != nil || at != len(all) {
			t.Errorf("%s: read %d of %d series back: %v", f, at, len(all), err)
		}
		t.Logf("%s: %d bytes", f, out.Len())
	}
}

func TestAggregatesAreColumns(t *testing.T) {
	shape := table.Shape{Grouped: true, Aggregates: []history.Aggregate{history.Avg, history.Last, history.States}}
	s := history.Series{Group: "north", Metric: "m", T: []trefoil.Instant{1_700_000_000_000_000}, Columns: []history.Column{
		{Aggregate: history.Avg, V: []trefoil.Value{{}}},
		{Aggregate: history.Last, V: []trefoil.Value{trefoil.TextValue("open")}},
		{Aggregate: history.States, States: [][]history.State{{{Value: trefoil.TextValue("open"), For: 1500e6}}}},
	}}
	for f, want := range map[table.Format]string{
		table.CSV:    "time,ms,group,metric,unit,avg,last,states\r\n2023-11-14T22:13:20Z,1700000000000,north,m,,,open,\"{\"\"open\"\":1.5}\"\r\n",
		table.NDJSON: `{"time":"2023-11-14T22:13:20Z","ms":1700000000000,"group":"north","metric":"m","unit":"","avg":null,"last":"open","states":{"open":1.5}}` + "\n",
	} {
		var out bytes.Buffer
		w := table.NewWriter(f, &out, shape)
		if err := errors.Join(w.Append(s, ""), w.Close()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Errorf("%s: (-want +got)\n%s", f, d)
		}
	}
	var out bytes.Buffer
	w := table.NewWriter(table.Parquet, &out, shape)
	if err := errors.Join(w.Append(s, ""), w.Close()); err != nil || out.Len() == 0 {
		t.Errorf("Parquet: %d bytes, %v", out.Len(), err)
	}
}

func TestTablesOfOthersAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		format table.Format
		text   string
		want   []string
	}{
		"a column for each metric": {table.CSV, "\ufefftimestamp,device,temperature,door\n2023-11-14T22:13:20Z,a,21.5,open\n1700000001,b,,true\n", []string{
			"2 a temperature 1700000000000000 21.5", `2 a door 1700000000000000 "open"`, "3 b door 1700000001000000 true",
		}},
		"bad lines": {table.CSV, "time,device,metric,value,kind\nsoon,a,m,1,\n2023-11-14T22:13:20Z,a,m\n2023-11-14T22:13:20Z,a,m,x,number\n2023-11-14T22:13:20Z,a,m,2,\n", []string{
			"2 bad", "3 bad", "4 bad", "5 a m 1700000000000000 2",
		}},
		"as posted": {table.NDJSON, "{\"device\":\"a\",\"ts\":1700000000,\"values\":{\"x\":1,\"y\":\"b\"}}\n\n[]\n{\"device\":\"a\",\"metric\":\"m\",\"value\":1}\n", []string{
			"1 a x 1700000000000000 1", `1 a y 1700000000000000 "b"`, "3 bad", "4 bad",
		}},
	} {
		var got []string
		err := read(c.format, []byte(c.text), func(r table.Row, bad error) error {
			if bad != nil {
				got = append(got, fmt.Sprint(r.Line, " bad"))
				return nil
			}
			got = append(got, fmt.Sprintf("%d %s %s %d %s", r.Line, r.Device, r.Metric, r.Time, r.Value.AppendJSON(nil)))
			return nil
		})
		if d := cmp.Diff(c.want, got); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, d)
		}
	}
	for _, text := range []string{"", "device,metric,value\n", "time,metric,value\n", "time,device\n"} {
		if err := read(table.CSV, []byte(text), nil); err == nil {
			t.Errorf("CSV %q: got no error", text)
		}
	}
}
