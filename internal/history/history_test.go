package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

const (
	second = trefoil.Instant(1_000_000)
	start  = trefoil.Instant(1_700_006_400_000_000) // 2023-11-15 00:00:00 UTC
)

// open gives a store and the history of it.
func open(t testing.TB) (*sqlite.Store, *history.History) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir(), store.Options{HeadBytes: 1 << 20}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, history.New(s)
}

func put(t testing.TB, s *sqlite.Store, readings ...trefoil.Reading) {
	t.Helper()
	putFor(t, s, "dev", readings...)
}

func putFor(t testing.TB, s *sqlite.Store, device trefoil.DeviceID, readings ...trefoil.Reading) {
	t.Helper()
	tx, err := s.Begin(context.Background())
	if err == nil {
		err = tx.Append(&trefoil.Message{Device: device, Readings: readings})
	}
	if err == nil {
		_, err = tx.Commit(context.Background())
	}
	for more := true; more && err == nil; {
		more, err = s.Maintain(context.Background(), time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func reading(metric string, t trefoil.Instant, v float64) trefoil.Reading {
	return trefoil.Reading{Metric: metric, Time: t, Value: trefoil.NumberValue(v)}
}

// sensor gives n readings ten seconds apart, each with its number as value.
func sensor(metric string, n int) []trefoil.Reading {
	out := make([]trefoil.Reading, n)
	for i := range out {
		out[i] = reading(metric, start+trefoil.Instant(i)*10*second, float64(i))
	}
	return out
}

func ask(t testing.TB, h *history.History, q history.Query) []history.Series {
	t.Helper()
	if q.Devices == nil {
		q.Devices = history.Of("dev")
	}
	a, err := h.Query(context.Background(), q)
	if err != nil {
		t.Fatalf("query: %v", err)
	}
	return a
}

var byValue = cmp.Comparer(func(a, b trefoil.Value) bool { return a == b })

func column(s history.Series, a history.Aggregate) (out []float64) {
	for _, c := range s.Columns {
		if c.Aggregate == a {
			for _, v := range c.V {
				out = append(out, v.Float())
			}
		}
	}
	return out
}

func TestBucketsBeginAtMultiplesOfTheStepAndAddUp(t *testing.T) {
	s, h := open(t)
	put(t, s, sensor("m", 8640)...)
	sums := []history.Aggregate{history.Avg, history.Min, history.Max, history.Sum, history.Count, history.First, history.Last}
	for _, step := range []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 90 * time.Minute, 24 * time.Hour} {
		q := history.Query{From: start + 125*second, To: start + 80_005*second, Step: history.Every(step), Aggregates: sums}
		got := ask(t, h, q)[0]
		var want history.Series
		want.Metric = "m"
		of := map[history.Aggregate][]float64{}
		for i := 13; i <= 8000; i++ {
			at := start + trefoil.Instant(i)*10*second
			at -= at % trefoil.Instant(step.Microseconds())
			v := float64(i)
			if n := len(want.T); n == 0 || want.T[n-1] != at {
				want.T = append(want.T, at)
				of[history.Count] = append(of[history.Count], 0)
				of[history.Sum] = append(of[history.Sum], 0)
				of[history.Min] = append(of[history.Min], v)
				of[history.First] = append(of[history.First], v)
				of[history.Max] = append(of[history.Max], v)
				of[history.Last] = append(of[history.Last], v)
				of[history.Avg] = append(of[history.Avg], v)
			}
			n := len(want.T) - 1
			of[history.Count][n]++
			of[history.Sum][n] += v
			of[history.Max][n], of[history.Last][n] = v, v
			of[history.Avg][n] = of[history.Sum][n] / of[history.Count][n]
		}
		if d := cmp.Diff(want.T, got.T); d != "" {
			t.Errorf("step %v, times: (-want +got)\n%s", step, d)
		}
		for _, a := range sums {
			if d := cmp.Diff(of[a], column(got, a)); d != "" {
				t.Errorf("step %v, %s: (-want +got)\n%s", step, a, d)
			}
		}
	}
}

func TestBucketsOfTextsAndBooleans(t *testing.T) {
	s, h := open(t)
	put(t, s,
		trefoil.Reading{Metric: "door", Time: start, Value: trefoil.TextValue("open")},
		trefoil.Reading{Metric: "door", Time: start + second, Value: trefoil.TextValue("closed")},
		trefoil.Reading{Metric: "on", Time: start, Value: trefoil.BooleanValue(true)},
		trefoil.Reading{Metric: "on", Time: start + second, Value: trefoil.BooleanValue(false)})
	q := history.Query{From: start, To: start + 60*second, Step: history.Every(time.Minute), Aggregates: []history.Aggregate{history.Avg, history.Count, history.Last}}
	got := ask(t, h, q)
	null, two := trefoil.Value{}, trefoil.NumberValue(2)
	want := [][]trefoil.Value{{null, two, trefoil.TextValue("closed")}, {trefoil.NumberValue(0.5), two, trefoil.BooleanValue(false)}}
	for i, values := range want {
		for k, v := range values {
			if d := cmp.Diff([]trefoil.Value{v}, got[i].Columns[k].V, byValue); d != "" {
				t.Errorf("%s of %s: (-want +got)\n%s", got[i].Columns[k].Aggregate, got[i].Metric, d)
			}
		}
	}
}

func TestReadingsComeWholeAndInTheOrderOfTheMetricsAskedFor(t *testing.T) {
	s, h := open(t)
	put(t, s, append(sensor("b", 3), reading("a", start, 7))...)
	got := ask(t, h, history.Query{Metrics: []string{"b", "a"}, From: start, To: start + 20*second})
	want := []history.Series{
		{Device: "dev", Devices: 1, Metric: "b", T: []trefoil.Instant{start, start + 10*second}, V: []trefoil.Value{trefoil.NumberValue(0), trefoil.NumberValue(1)}},
		{Device: "dev", Devices: 1, Metric: "a", T: []trefoil.Instant{start}, V: []trefoil.Value{trefoil.NumberValue(7)}},
	}
	if d := cmp.Diff(want, got, byValue); d != "" {
		t.Errorf("series: (-want +got)\n%s", d)
	}
	all := ask(t, h, history.Query{From: start, To: start + second})
	if len(all) != 2 || all[0].Metric != "a" {
		t.Errorf("all metrics: got %d series, the first %q; want 2, the first a", len(all), all[0].Metric)
	}
}

func TestLimitEndsASeriesAndSaysSo(t *testing.T) {
	s, h := open(t)
	put(t, s, sensor("m", 100)...)
	r := history.Query{From: start, To: start + 3600*second, Limit: 40}
	if got := ask(t, h, r)[0]; len(got.T) != 40 || !got.More {
		t.Errorf("readings: got %d, more %v; want 40, true", len(got.T), got.More)
	}
	r.Limit = 100
	if got := ask(t, h, r)[0]; len(got.T) != 100 || got.More {
		t.Errorf("readings: got %d, more %v; want 100, false", len(got.T), got.More)
	}
	r.Limit, r.Step = 5, history.Every(time.Minute)
	if got := ask(t, h, r)[0]; len(got.T) != 5 || !got.More || len(got.Columns[0].V) != 5 {
		t.Errorf("buckets: got %d, more %v; want 5, true", len(got.T), got.More)
	}
}

func TestPointsKeepTheExtremes(t *testing.T) {
	s, h := open(t)
	list := make([]trefoil.Reading, 8640)
	for i := range list {
		list[i] = reading("m", start+trefoil.Instant(i)*10*second, math.Round(100*math.Sin(float64(i)/500))/100)
	}
	list[4321].Value = trefoil.NumberValue(99)
	list[17].Value = trefoil.NumberValue(-99)
	put(t, s, list...)
	got := ask(t, h, history.Query{From: start - 1e15, To: start + 1e15, Points: 500})[0]
	if len(got.T) > 500 || len(got.T) < 400 {
		t.Errorf("got %d points, want about 500 and no more", len(got.T))
	}
	seen := map[trefoil.Instant]float64{}
	for i, at := range got.T {
		if i > 0 && at <= got.T[i-1] {
			t.Fatalf("point %d at %d is not after %d", i, at, got.T[i-1])
		}
		seen[at] = got.V[i].Float()
	}
	for _, i := range []int{17, 4321} {
		if v, ok := seen[list[i].Time]; !ok || v != list[i].Value.Float() {
			t.Errorf("the extreme %v is lost: got %v, %v", list[i].Value.Float(), v, ok)
		}
	}
	few := ask(t, h, history.Query{From: start, To: start + 4000*second, Points: 400})[0]
	if len(few.T) != 400 {
		t.Errorf("a range with 400 readings: got %d points, want all 400", len(few.T))
	}
}

func TestWhatCannotBeAnsweredSaysWhy(t *testing.T) {
	s, h := open(t)
	put(t, s, sensor("m", 10)...)
	ok := history.Query{Devices: history.Of("dev"), From: start, To: start + 3600*second}
	for name, c := range map[string]struct {
		change func(*history.Query)
		code   trefoil.Code
		says   string
	}{
		"from after to":      {func(q *history.Query) { q.From, q.To = q.To, q.From }, trefoil.CodeInvalid, "from"},
		"from equal to to":   {func(q *history.Query) { q.To = q.From }, trefoil.CodeInvalid, "before"},
		"negative step":      {func(q *history.Query) { q.Step = history.Every(-time.Hour) }, trefoil.CodeInvalid, "step"},
		"tiny step":          {func(q *history.Query) { q.Step = history.Every(time.Millisecond) }, trefoil.CodeInvalid, "1s"},
		"many steps":         {func(q *history.Query) { q.Step, q.To = history.Every(time.Second), q.From+20_001*second }, trefoil.CodeTooMany, "20000"},
		"one point":          {func(q *history.Query) { q.Points = 1 }, trefoil.CodeInvalid, "20000"},
		"points and step":    {func(q *history.Query) { q.Points, q.Step = 10, history.Every(time.Minute) }, trefoil.CodeInvalid, "exclude"},
		"negative limit":     {func(q *history.Query) { q.Limit = -1 }, trefoil.CodeInvalid, "limit"},
		"unknown fill":       {func(q *history.Query) { q.Step, q.Fill = history.Every(time.Minute), "zero" }, trefoil.CodeInvalid, "none, null, previous, linear"},
		"fill without step":  {func(q *history.Query) { q.Fill = history.FillNull }, trefoil.CodeInvalid, "step"},
		"groups of readings": {func(q *history.Query) { q.Grouped = true }, trefoil.CodeInvalid, "step"},
		"odd step in a zone": {func(q *history.Query) { q.Step, q.Zone = history.Every(7*time.Hour), paris(t) }, trefoil.CodeInvalid, "divide a day"},
		"agg without step":   {func(q *history.Query) { q.Aggregates = []history.Aggregate{history.Avg} }, trefoil.CodeInvalid, "step"},
		"unknown aggregate":  {func(q *history.Query) { q.Step, q.Aggregates = history.Every(time.Minute), []history.Aggregate{"p42"} }, trefoil.CodeInvalid, "avg"},
		"unknown metric":     {func(q *history.Query) { q.Metrics = []string{"x"} }, trefoil.CodeNotFound, "there are m"},
		"nothing yet":        {func(q *history.Query) { q.Devices, q.Metrics = history.Of("new"), []string{"x"} }, trefoil.CodeNotFound, "no readings"},
	} {
		q := ok
		c.change(&q)
		_, err := h.Query(context.Background(), q)
		if trefoil.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want code %s and a message with %q", name, err, c.code, c.says)
		}
	}
}

func TestMoreReadingsThanTheBoundNamesIt(t *testing.T) {
	s, h := open(t)
	put(t, s, sensor("m", history.MaxReadings+1)...)
	q := history.Query{Devices: history.Of("dev"), From: start, To: start + 1e15}
	_, err := h.Query(context.Background(), q)
	if trefoil.CodeOf(err) != trefoil.CodeTooMany || !strings.Contains(err.Error(), fmt.Sprint(history.MaxReadings)) {
		t.Errorf("got error %v, want code %s and the bound %d", err, trefoil.CodeTooMany, history.MaxReadings)
	}
	q.Step = history.Every(24 * time.Hour)
	if got := ask(t, h, q)[0]; len(got.T) != 24 {
		t.Errorf("in days: got %d buckets, want 24", len(got.T))
	}
}
