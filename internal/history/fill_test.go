package history_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// texts writes values for comparison; "null" for none.
func texts(values []trefoil.Value) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v.AppendJSON(nil))
	}
	return out
}

func TestFillDecidesWhatStandsForBucketsWithoutReadings(t *testing.T) {
	s, h := open(t)
	put(t, s, reading("m", start-30*second, 4), reading("m", start+60*second, 10), reading("m", start+240*second, 40))
	put(t, s, trefoil.Reading{Metric: "door", Time: start + 60*second, Value: trefoil.TextValue("open")}, trefoil.Reading{Metric: "door", Time: start + 240*second, Value: trefoil.TextValue("shut")})
	for _, c := range []struct {
		fill           history.Fill
		avg, last, twa []string
		count          []string
	}{
		{history.FillNone, []string{"10", "40"}, []string{`"open"`, `"shut"`}, []string{"10", "40"}, []string{"1", "1"}},
		{
			history.FillNull,
			[]string{"null", "10", "null", "null", "40", "null"},
			[]string{"null", `"open"`, "null", "null", `"shut"`, "null"},
			[]string{"4", "10", "10", "10", "40", "40"},
			[]string{"0", "1", "0", "0", "1", "0"},
		},
		{
			history.FillPrevious,
			[]string{"null", "10", "10", "10", "40", "40"},
			[]string{"null", `"open"`, `"open"`, `"open"`, `"shut"`, `"shut"`},
			[]string{"4", "10", "10", "10", "40", "40"},
			[]string{"0", "1", "0", "0", "1", "0"},
		},
		{
			history.FillLinear,
			[]string{"null", "10", "20", "30", "40", "null"},
			[]string{"null", `"open"`, "null", "null", `"shut"`, "null"},
			[]string{"4", "10", "10", "10", "40", "40"},
			[]string{"0", "1", "0", "0", "1", "0"},
		},
	} {
		q := history.Query{
			Metrics: []string{"m", "door"}, From: start, To: start + 360*second, Step: history.Every(time.Minute), Fill: c.fill,
			Aggregates: []history.Aggregate{history.Avg, history.Last, history.TWA, history.Count},
		}
		got := ask(t, h, q)
		for k, want := range map[int][]string{0: c.avg, 2: c.twa, 3: c.count} {
			if d := cmp.Diff(want, texts(got[0].Columns[k].V)); d != "" {
				t.Errorf("fill %q, %s: (-want +got)\n%s", c.fill, got[0].Columns[k].Aggregate, d)
			}
		}
		if d := cmp.Diff(c.last, texts(got[1].Columns[1].V)); d != "" {
			t.Errorf("fill %q, last of door: (-want +got)\n%s", c.fill, d)
		}
	}
}

func TestGroupsAddRatesAndTimesOfStates(t *testing.T) {
	s, h := open(t)
	counter := func(device trefoil.DeviceID, perMinute float64) {
		for i := range 10 {
			putFor(t, s, device, reading("wh", start+trefoil.Instant(i)*60*second, float64(i)*perMinute),
				trefoil.Reading{Metric: "on", Time: start + trefoil.Instant(i)*60*second, Value: trefoil.BooleanValue(device == "a")})
		}
	}
	counter("a", 60)
	counter("b", 120)
	q := history.Query{
		Devices: []history.Member{{Device: "a", Group: "x"}, {Device: "b", Group: "x"}, {Device: "none", Group: "y"}}, Grouped: true,
		From: start, To: start + 600*second, Step: history.Every(10 * time.Minute),
		Aggregates: []history.Aggregate{history.Rate, history.TWA, history.States},
	}
	got := ask(t, h, q)
	if len(got) != 2 || got[0].Metric != "on" || got[0].Devices != 2 || got[0].Group != "x" {
		t.Fatalf("got %+v, want on and wh of group x, of two devices", got)
	}
	if v := got[1].Columns[0].V[0].Float(); v != 3 {
		t.Errorf("rate: got %v, want 3 per second", v)
	}
	if v := got[0].Columns[1].V[0].Float(); v != 0.5 {
		t.Errorf("time-weighted average: got %v, want 0.5", v)
	}
	want := []history.State{{Value: trefoil.BooleanValue(false), For: 10 * time.Minute}, {Value: trefoil.BooleanValue(true), For: 10 * time.Minute}}
	if !slices.Equal(got[0].Columns[2].States[0], want) {
		t.Errorf("states: got %v, want %v", got[0].Columns[2].States[0], want)
	}
}

func TestAQueryEndsWhenNobodyWaitsForIt(t *testing.T) {
	s, h := open(t)
	put(t, s, sensor("a", 1000)...)
	put(t, s, sensor("b", 1000)...)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := h.Stream(ctx, history.Query{Devices: history.Of("dev"), From: start, To: start + 1e12}, func(history.Series) error {
		n++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("got %d series and error %v, want one and %v", n, err, context.Canceled)
	}
}

// wide is a store with more than anybody may ask for.
type wide struct{ texts bool }

func (wide) Metrics(context.Context, trefoil.DeviceID) ([]string, error) { return []string{"m"}, nil }

func (w wide) Read(_ context.Context, r store.ReadRequest, visit func(store.Block) error) error {
	if r.From >= r.To || r.Reverse {
		return nil
	}
	b := store.Block{Count: 1, Samples: make([]store.Sample, 1)}
	for i := range history.MaxScanned {
		b.Samples[0] = store.Sample{Time: r.From + trefoil.Instant(i), Value: trefoil.NumberValue(1)}
		if w.texts {
			b.Samples[0].Value = trefoil.TextValue(strings.Repeat("x", i%200))
		}
		if err := visit(b); err != nil {
			return err
		}
	}
	return nil
}

func TestBoundsAreNamed(t *testing.T) {
	many := make([]history.Member, history.MaxSeries+1)
	q := history.Query{Devices: history.Of("a"), From: start, To: start + 3600*second, Step: history.Every(time.Hour)}
	for name, c := range map[string]struct {
		store  wide
		change func(*history.Query)
		says   string
	}{
		"percentiles": {wide{}, func(q *history.Query) { q.Aggregates = []history.Aggregate{history.P50} }, "2000000"},
		"states":      {wide{texts: true}, func(q *history.Query) { q.Aggregates = []history.Aggregate{history.States} }, "100"},
		"series":      {wide{}, func(q *history.Query) { q.Devices = many }, "10000"},
		"steps":       {wide{}, func(q *history.Query) { q.Step, q.To = history.Days(1), q.From+20_002*86400*second }, "20000"},
	} {
		asked := q
		c.change(&asked)
		_, err := history.New(c.store).Query(t.Context(), asked)
		if trefoil.CodeOf(err) != trefoil.CodeTooMany || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want code %s and the bound %s", name, err, trefoil.CodeTooMany, c.says)
		}
	}
}

func TestPartsAreNotBoundByTheSizeOfAnAnswer(t *testing.T) {
	s, h := open(t)
	n := history.MaxReadings + 1
	put(t, s, sensor("m", n)...)
	got, parts := 0, 0
	q := history.Query{Devices: history.Of("dev"), From: start, To: start + 1e15, Part: 1000}
	err := h.Stream(t.Context(), q, func(s history.Series) error {
		for i, at := range s.T {
			if want := start + trefoil.Instant(got+i)*10*second; at != want || s.V[i].Float() != float64(got+i) {
				t.Fatalf("reading %d: got %v at %v", got+i, s.V[i], at)
			}
		}
		got += len(s.T)
		parts++
		return nil
	})
	if err != nil || got != n || parts != n/1000+1 {
		t.Errorf("got %d readings in %d parts, error %v; want %d in %d", got, parts, err, n, n/1000+1)
	}
}
