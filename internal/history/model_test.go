package history_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

// model answers as a query does, by looking at all readings for each bucket.
type model struct {
	list     []trefoil.Reading // of one series, in order
	from, to trefoil.Instant   // of the query
	now      trefoil.Instant
}

func (m model) in(a, b trefoil.Instant) (out []trefoil.Reading) {
	for _, x := range m.list {
		if x.Time >= max(a, m.from) && x.Time < min(b, m.to) {
			out = append(out, x)
		}
	}
	return out
}

func numbers(list []trefoil.Reading) (out []float64) {
	for _, x := range list {
		if x.Value.Kind() != trefoil.Text {
			out = append(out, x.Value.Float())
		}
	}
	return out
}

func (m model) percentile(p float64, a, b trefoil.Instant) trefoil.Value {
	v := numbers(m.in(a, b))
	if len(v) == 0 {
		return trefoil.Value{}
	}
	slices.Sort(v)
	rank := p * float64(len(v)-1)
	below, above := v[int(math.Floor(rank))], v[int(math.Ceil(rank))]
	return trefoil.NumberValue(below + (above-below)*(rank-math.Floor(rank)))
}

// rate adds up the increases of all pairs of neighbours of which the later
// one is in the bucket.
func (m model) rate(a, b trefoil.Instant) trefoil.Value {
	sum, over := 0.0, 0.0
	var before *trefoil.Reading
	for i, x := range m.list {
		if x.Value.Kind() == trefoil.Text {
			continue
		}
		if before != nil && x.Time >= max(a, m.from) && x.Time < min(b, m.to) {
			if d := x.Value.Float() - before.Value.Float(); d >= 0 {
				sum += d
			} else {
				sum += x.Value.Float()
			}
			over += x.Time.Sub(before.Time).Seconds()
		}
		before = &m.list[i]
	}
	if over == 0 {
		return trefoil.Value{}
	}
	return trefoil.NumberValue(sum / over)
}

// held gives what every value held in the bucket, in seconds.
func (m model) held(a, b trefoil.Instant) map[trefoil.Value]float64 {
	out := map[trefoil.Value]float64{}
	for i, x := range m.list {
		if x.Time >= m.to {
			break
		}
		end := min(b, m.to, m.now)
		if i+1 < len(m.list) {
			end = min(end, m.list[i+1].Time)
		}
		if begin := max(x.Time, a, m.from); end > begin {
			out[x.Value] += end.Sub(begin).Seconds()
		}
	}
	return out
}

func (m model) twa(a, b trefoil.Instant) trefoil.Value {
	sum, over := 0.0, 0.0
	for v, s := range m.held(a, b) {
		if v.Kind() != trefoil.Text {
			sum, over = sum+v.Float()*s, over+s
		}
	}
	if over == 0 {
		return trefoil.Value{}
	}
	return trefoil.NumberValue(sum / over)
}

// draw makes the readings of a series of one kind.
func draw(rt *rapid.T) []trefoil.Reading {
	kind := rapid.SampledFrom([]string{"number", "counter", "boolean", "text"}).Draw(rt, "kind")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
	n := rapid.IntRange(0, 200).Draw(rt, "n")
	widest := rapid.SampledFrom([]int{10, 100, 2000}).Draw(rt, "distance")
	var out []trefoil.Reading
	at, total := start, 0.0
	for range n {
		at += trefoil.Instant(1+r.IntN(widest))*second + trefoil.Instant(r.IntN(1000))
		var v trefoil.Value
		switch kind {
		case "number":
			v = trefoil.NumberValue(float64(r.IntN(2001)-1000) / 10)
		case "counter":
			if total += float64(r.IntN(10)); r.IntN(20) == 0 {
				total = float64(r.IntN(3))
			}
			v = trefoil.NumberValue(total)
		case "boolean":
			v = trefoil.BooleanValue(r.IntN(2) == 0)
		default:
			v = trefoil.TextValue([]string{"open", "closed", "moving"}[r.IntN(3)])
		}
		out = append(out, trefoil.Reading{Metric: "m", Time: at, Value: v})
	}
	return out
}

func near(a, b trefoil.Value) bool {
	return a.Kind() == b.Kind() && a.Text() == b.Text() && math.Abs(a.Float()-b.Float()) <= 1e-9*(1+math.Abs(a.Float()))
}

func TestAggregatesAreThoseOfTheNaiveModel(t *testing.T) {
	s, h := open(t)
	asked := []history.Aggregate{history.Count, history.P50, history.P95, history.Rate, history.TWA, history.States, history.Last}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		device := trefoil.DeviceID(fmt.Sprint("m", n))
		list := draw(rt)
		putFor(t, s, device, append(slices.Clone(list), reading("other", start, 1))...)
		if len(list) == 0 {
			return
		}
		span := int64(list[len(list)-1].Time-start) + 1
		m := model{list: list, from: start + trefoil.Instant(rapid.Int64Range(-1e8, span).Draw(rt, "from"))}
		m.to = m.from + trefoil.Instant(rapid.Int64Range(1, span+1e8).Draw(rt, "to"))
		m.now = m.to - trefoil.Instant(rapid.Int64Range(0, 1e8).Draw(rt, "now"))
		m.now = max(m.now, list[len(list)-1].Time) // nothing is stored after now
		step := rapid.SampledFrom([]time.Duration{time.Minute, 5 * time.Minute, time.Hour}).Draw(rt, "step")
		fill := rapid.SampledFrom([]history.Fill{history.FillNone, history.FillNull}).Draw(rt, "fill")
		got, err := h.Query(t.Context(), history.Query{
			Devices: history.Of(device), Metrics: []string{"m"}, From: m.from, To: m.to, Now: m.now,
			Step: history.Every(step), Aggregates: asked, Fill: fill,
		})
		if err != nil {
			rt.Fatal(err)
		}
		m.compare(rt, got[0], step, fill)
	})
}

func (m model) compare(rt *rapid.T, got history.Series, step time.Duration, fill history.Fill) {
	width, i := trefoil.Instant(step.Microseconds()), 0
	for a := m.from - m.from%width; a < m.to; a += width {
		b, inside := a+width, m.in(a, a+width)
		if len(inside) == 0 && fill == history.FillNone {
			continue
		}
		if i == len(got.T) || got.T[i] != a {
			rt.Fatalf("bucket %d: got times %v, want %v", i, got.T, a)
		}
		want := []trefoil.Value{
			trefoil.NumberValue(float64(len(inside))), m.percentile(0.5, a, b), m.percentile(0.95, a, b), m.rate(a, b), m.twa(a, b), {}, {},
		}
		if len(inside) > 0 {
			want[6] = inside[len(inside)-1].Value
		}
		for k, c := range got.Columns {
			if c.Aggregate != history.States && !near(want[k], c.V[i]) {
				rt.Fatalf("%s of the bucket at %v: got %v, want %v", c.Aggregate, a.Time(), c.V[i], want[k])
			}
		}
		m.compareStates(rt, got.Columns[5].States[i], m.held(a, b))
		i++
	}
	if i != len(got.T) {
		rt.Fatalf("got %d buckets, want %d", len(got.T), i)
	}
}

func (m model) compareStates(rt *rapid.T, got []history.State, held map[trefoil.Value]float64) {
	n := 0
	for v, seconds := range held {
		if v.Kind() == trefoil.Number {
			continue
		}
		n++
		if !slices.ContainsFunc(got, func(s history.State) bool { return s.Value == v && math.Abs(s.For.Seconds()-seconds) < 1e-6 }) {
			rt.Fatalf("states: got %v, want %v for %v s", got, v, seconds)
		}
	}
	if n != len(got) {
		rt.Fatalf("states: got %v, want %v", got, held)
	}
}

func TestAGroupIsAsIfOneDeviceHadSentEverything(t *testing.T) {
	s, h := open(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		var members []history.Member
		var all []trefoil.Reading
		seen := map[trefoil.Instant]bool{}
		for i := range rapid.IntRange(1, 4).Draw(rt, "devices") {
			list := slices.DeleteFunc(draw(rt), func(x trefoil.Reading) bool { return x.Value.Kind() != trefoil.Number || seen[x.Time] })
			for _, x := range list {
				seen[x.Time] = true
			}
			device := trefoil.DeviceID(fmt.Sprintf("g%d-%d", n, i))
			putFor(t, s, device, append(slices.Clone(list), reading("other", start, 1))...)
			all = append(all, list...)
			members = append(members, history.Member{Device: device, Group: "g"})
		}
		if len(all) == 0 {
			return
		}
		one := trefoil.DeviceID(fmt.Sprint("one", n))
		putFor(t, s, one, all...)
		q := history.Query{
			Devices: members, Grouped: true, Metrics: []string{"m"}, From: start, To: start + 500_000*second, Step: history.Every(time.Hour),
			Aggregates: []history.Aggregate{history.Avg, history.Min, history.Max, history.Sum, history.Count, history.First, history.Last, history.P50, history.P95},
		}
		got, err := h.Query(t.Context(), q)
		if err != nil {
			rt.Fatal(err)
		}
		q.Devices, q.Grouped = history.Of(one), false
		want, err := h.Query(t.Context(), q)
		if err != nil {
			rt.Fatal(err)
		}
		for k, c := range want[0].Columns {
			if !slices.EqualFunc(c.V, got[0].Columns[k].V, near) || !slices.Equal(want[0].T, got[0].T) {
				rt.Fatalf("%s: got %v, want %v", c.Aggregate, got[0].Columns[k].V, c.V)
			}
		}
	})
}

func TestPointsKeepMinimumAndMaximumOfEveryPart(t *testing.T) {
	s, h := open(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		list := slices.DeleteFunc(draw(rt), func(x trefoil.Reading) bool { return x.Value.Kind() != trefoil.Number })
		if len(list) == 0 {
			return
		}
		device := trefoil.DeviceID(fmt.Sprint("p", n))
		putFor(t, s, device, list...)
		points := rapid.IntRange(2, 60).Draw(rt, "points")
		all, err := h.Query(t.Context(), history.Query{Devices: history.Of(device), From: start, To: start + 1e12, Points: points})
		if err != nil {
			rt.Fatal(err)
		}
		got := all[0]
		if len(got.T) > points+1 || len(list) <= points && len(got.T) != len(list) {
			rt.Fatalf("got %d of %d readings, want about %d", len(got.T), len(list), points)
		}
		first, last := list[0].Time, list[len(list)-1].Time
		width := (last-first)/trefoil.Instant(max(points/2, 1)) + 1
		for a := first; a <= last; a += width {
			low, high, any := math.Inf(1), math.Inf(-1), false
			for _, x := range list {
				if x.Time >= a && x.Time < a+width {
					low, high, any = min(low, x.Value.Float()), max(high, x.Value.Float()), true
				}
			}
			hasLow, hasHigh := !any, !any
			for i, at := range got.T {
				if at >= a && at < a+width {
					hasLow, hasHigh = hasLow || got.V[i].Float() == low, hasHigh || got.V[i].Float() == high
				}
			}
			if !hasLow || !hasHigh {
				rt.Fatalf("part at %v: the extremes %v and %v are lost", a.Time(), low, high)
			}
		}
	})
}
