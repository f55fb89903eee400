package storetest

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

func rangeTests() []test {
	return []test{
		{"a range has its beginning and not its end", halfOpen},
		{"reverse is the same backwards", reverse},
		{"summaries add up and never span a multiple of the resolution", resolution},
	}
}

// ramp stores n readings, step apart from start, and gives them.
func (h *harness) ramp(device trefoil.DeviceID, metric string, start, step trefoil.Instant, n int) []store.Sample {
	h.t.Helper()
	out := make([]store.Sample, n)
	for i := range out {
		out[i] = num(start+trefoil.Instant(i)*step, float64(i%100)/4)
	}
	for part := range slices.Chunk(out, 1000) {
		h.commit(message(device, metric, part...))
	}
	return out
}

func halfOpen(h *harness) {
	all := h.ramp("dev", "m", noon-90*60*second, 60*second, 180)
	for _, r := range [][2]int{{0, 180}, {0, 1}, {10, 11}, {10, 10}, {20, 10}, {89, 91}, {90, 150}, {179, 180}, {37, 163}} {
		from, to := noon+trefoil.Instant(r[0]-90)*60*second, noon+trefoil.Instant(r[1]-90)*60*second
		var want []store.Sample
		if r[0] < r[1] {
			want = all[r[0]:r[1]]
		}
		h.want("range", h.read(store.ReadRequest{Device: "dev", Metric: "m", From: from, To: to}), want)
		h.want("range that begins and ends between readings",
			h.read(store.ReadRequest{Device: "dev", Metric: "m", From: from - 1, To: to - 1}), want)
	}
}

func reverse(h *harness) {
	all := h.ramp("dev", "m", noon, 7*second, 3000)
	h.commit(message("dev", "m", num(noon+1, 1000))) // late: in front, in another commit
	all = slices.Insert(all, 1, num(noon+1, 1000))
	slices.Reverse(all)
	r := store.ReadRequest{Device: "dev", Metric: "m", From: noon, To: noon + 100*hour, Reverse: true}
	h.want("reverse", h.read(r), all)
	stop := context.Canceled
	n := 0
	err := h.s.Read(context.Background(), r, func(b store.Block) error {
		n += b.Count
		return stop
	})
	h.want("error of a visit", err == stop, true)
	if n == 0 || n >= len(all) {
		h.t.Errorf("a visit that stops at the first block saw %d readings, want some of %d", n, len(all))
	}
}

func resolution(h *harness) {
	all := h.ramp("dev", "m", noon-48*hour+17*second, 30*second, 120*48)
	h.commit(message("dev", "m", num(noon, 77)))
	all = append(all, num(noon, 77))
	slices.SortFunc(all, func(a, b store.Sample) int { return int(a.Time - b.Time) })
	for _, res := range []time.Duration{time.Second, 5 * time.Minute, time.Hour, 90 * time.Minute, 24 * time.Hour, 7 * 24 * time.Hour} {
		for _, r := range [][2]trefoil.Instant{{noon - 100*hour, noon + 100*hour}, {noon - 30*hour + second, noon - 2*hour - second}} {
			request := store.ReadRequest{Device: "dev", Metric: "m", From: r[0], To: r[1], Resolution: res}
			h.want("sums of buckets of "+res.String(), h.buckets(request), sums(all, request))
		}
	}
}

type sum struct {
	Count           int
	Min, Max, Sum   float64
	FirstAt, LastAt trefoil.Instant
	First, Last     float64
}

func (s *sum) add(b store.Block) {
	if s.Count == 0 {
		*s = sum{Min: math.Inf(1), Max: math.Inf(-1), First: b.First.Value.Float(), FirstAt: b.First.Time}
	}
	s.Count += b.Count
	s.Sum += b.Sum
	s.Min, s.Max = min(s.Min, b.Min), max(s.Max, b.Max)
	s.Last, s.LastAt = b.Last.Value.Float(), b.Last.Time
}

func bucket(t trefoil.Instant, res time.Duration) trefoil.Instant {
	w := trefoil.Instant(res.Microseconds())
	return t - (t%w+w)%w
}

// buckets reads with the resolution of r and adds blocks up.
func (h *harness) buckets(r store.ReadRequest) map[trefoil.Instant]sum {
	h.t.Helper()
	out := map[trefoil.Instant]sum{}
	add := func(b store.Block) {
		at := bucket(b.First.Time, r.Resolution)
		s := out[at]
		s.add(b)
		out[at] = s
	}
	err := h.s.Read(context.Background(), r, func(b store.Block) error {
		h.checkBlock(b, r)
		if b.Samples == nil {
			if bucket(b.First.Time, r.Resolution) != bucket(b.Last.Time, r.Resolution) {
				h.t.Errorf("summary from %d to %d spans a multiple of %v", b.First.Time, b.Last.Time, r.Resolution)
			}
			add(b)
		}
		for _, x := range b.Samples {
			add(single(x))
		}
		return nil
	})
	if err != nil {
		h.t.Fatalf("read: %v", err)
	}
	return out
}

func single(x store.Sample) store.Block {
	v := x.Value.Float()
	return store.Block{Count: 1, Min: v, Max: v, Sum: v, First: x, Last: x}
}

// sums is what buckets should give.
func sums(all []store.Sample, r store.ReadRequest) map[trefoil.Instant]sum {
	out := map[trefoil.Instant]sum{}
	for _, x := range all {
		if x.Time >= r.From && x.Time < r.To {
			at := bucket(x.Time, r.Resolution)
			s := out[at]
			s.add(single(x))
			out[at] = s
		}
	}
	return out
}
