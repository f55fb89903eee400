package storetest

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

func readingTests() []test {
	return []test{
		{"a reading comes back as it was, whatever its kind", kindsComeBack},
		{"a series may change its kind", kindChanges},
		{"the last write of one time wins", lastWriteWins},
		{"late readings come back in order of time", lateReadings},
		{"what cannot be stored is refused and leaves the rest", refusals},
		{"a message over the limit of metrics is refused whole", metricLimit},
		{"latest is the newest by time, not by arrival", latestByTime},
		{"metrics are sorted and those of the device only", metricsSorted},
		{"a series or device that does not exist is empty", nothingThere},
	}
}

func kindsComeBack(h *harness) {
	cases := map[string][]store.Sample{
		"numbers":  {num(noon, 21.55), num(noon+second, -0.01), num(noon+2*second, 0), num(noon+3*second, math.Copysign(0, -1))},
		"extremes": {num(noon, math.MaxFloat64), num(noon+1, -math.MaxFloat64), num(noon+2, math.SmallestNonzeroFloat64), num(noon+3, math.Pi)},
		"integers": {num(noon, 1<<53), num(noon+second, 1<<53-1), num(noon+2*second, -7)},
		"booleans": {boolean(noon, true), boolean(noon+second, false), boolean(noon+2*second, true)},
		"texts":    {text(noon, "open"), text(noon+second, ""), text(noon+2*second, "größer\n\x00"), text(noon+3*second, strings.Repeat("x", trefoil.MaxText))},
		"old":      {num(noon-500*365*24*hour, 1), num(-1, 2), num(0, 3), num(1, 4), num(noon, 5)},
	}
	for metric, samples := range cases {
		h.commit(message("dev", metric, samples...))
	}
	for metric, want := range cases {
		h.want(metric, h.all("dev", metric), want)
		if metric == "numbers" && !math.Signbit(h.all("dev", metric)[3].Value.Float()) {
			h.t.Error("got 0, want -0")
		}
	}
	h.crash()
	for metric, want := range cases {
		h.want(metric+" after a crash", h.all("dev", metric), want)
	}
}

func kindChanges(h *harness) {
	want := []store.Sample{num(noon, 1), text(noon+second, "broken"), boolean(noon+2*second, true), num(noon+3*second, 2), text(noon+hour, "x"), num(noon+2*hour, 3)}
	for _, x := range want {
		h.commit(message("dev", "state", x))
	}
	h.want("all", h.all("dev", "state"), want)
	h.reopen()
	h.want("all after reopening", h.all("dev", "state"), want)
}

func lastWriteWins(h *harness) {
	h.commit(message("dev", "a", num(noon, 1), num(noon, 2)))
	h.want("within one message", h.all("dev", "a"), []store.Sample{num(noon, 2)})

	h.commit(message("dev", "b", num(noon, 1)), message("dev", "b", num(noon+second, 9)), message("dev", "b", num(noon, 2)))
	h.want("within one commit", h.all("dev", "b"), []store.Sample{num(noon, 2), num(noon+second, 9)})

	h.commit(message("dev", "c", num(noon, 1)))
	h.commit(message("dev", "c", num(noon+hour, 5)))
	h.commit(message("dev", "c", text(noon, "two")))
	h.want("over commits", h.all("dev", "c"), []store.Sample{text(noon, "two"), num(noon+hour, 5)})

	h.commit(message("dev", "c", num(noon+hour, 6)))
	h.crash()
	h.want("over commits and a crash", h.all("dev", "c"), []store.Sample{text(noon, "two"), num(noon+hour, 6)})
	latest, err := h.s.Latest(context.Background(), "dev")
	h.want("error of latest", err, nil)
	h.want("latest", latest[2], trefoil.Reading{Metric: "c", Time: noon + hour, Value: trefoil.NumberValue(6)})
}

func lateReadings(h *harness) {
	var want []store.Sample
	for i := range 200 {
		want = append(want, num(noon+trefoil.Instant(i)*61*second, float64(i)))
	}
	for i := range want { // backwards with a stride, so that nothing is in order
		h.commit(message("dev", "m", want[(199-i)*73%200]))
	}
	h.want("all", h.all("dev", "m"), want)
	h.crash()
	h.want("all after a crash", h.all("dev", "m"), want)
}

func refusals(h *harness) {
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon, 1)))
	for _, bad := range []store.Sample{
		num(noon, math.NaN()), num(noon, math.Inf(1)), num(noon, math.Inf(-1)),
		text(noon, "\xff"), text(noon, strings.Repeat("x", trefoil.MaxText+1)),
		{Time: noon},
		num(math.MaxInt64, 1), num(math.MinInt64, 1),
	} {
		err := tx.Append(message("dev", "m", num(noon+second, 7), bad))
		if got := trefoil.CodeOf(err); got != trefoil.CodeInvalid {
			h.t.Errorf("append of %v at %d: got error %v, want code %s", bad.Value, bad.Time, err, trefoil.CodeInvalid)
		}
	}
	h.append(tx, message("dev", "m", num(noon+2*second, 2)))
	h.end(tx)
	h.want("all", h.all("dev", "m"), []store.Sample{num(noon, 1), num(noon+2*second, 2)})
}

func metricLimit(h *harness) {
	h.options.MaxMetrics = 3
	h.reopen()
	tx := h.begin()
	h.append(tx, message("dev", "a", num(noon, 1)), message("dev", "b", num(noon, 1)))
	over := message("dev", "c", num(noon, 1))
	over.Readings = append(over.Readings, trefoil.Reading{Metric: "d", Time: noon, Value: trefoil.NumberValue(1)})
	over.Readings = append(over.Readings, trefoil.Reading{Metric: "a", Time: noon, Value: trefoil.NumberValue(2)})
	err := tx.Append(over)
	if got := trefoil.CodeOf(err); got != trefoil.CodeTooMany || !strings.Contains(err.Error(), "3") {
		h.t.Errorf("append over the limit: got error %v, want code %s and the limit", err, trefoil.CodeTooMany)
	}
	h.append(tx, message("dev", "c", num(noon, 1)), message("other", "d", num(noon, 1)))
	h.end(tx)
	names, err := h.s.Metrics(context.Background(), "dev")
	h.want("error of metrics", err, nil)
	h.want("metrics", names, []string{"a", "b", "c"})
	h.want("a of the refused message", h.all("dev", "a"), []store.Sample{num(noon, 1)})
}

func latestByTime(h *harness) {
	h.commit(message("dev", "b", num(noon, 1)), message("dev", "a", text(noon, "x")))
	h.commit(message("dev", "b", num(noon-hour, 2)), message("dev", "a", boolean(noon+second, true)))
	want := []trefoil.Reading{
		{Metric: "a", Time: noon + second, Value: trefoil.BooleanValue(true)},
		{Metric: "b", Time: noon, Value: trefoil.NumberValue(1)},
	}
	for _, when := range []string{"at once", "after reopening", "after a crash"} {
		got, err := h.s.Latest(context.Background(), "dev")
		h.want("error of latest", err, nil)
		h.want("latest "+when, got, want)
		if when == "at once" {
			h.reopen()
		} else {
			h.crash()
		}
	}
}

func metricsSorted(h *harness) {
	m := message("dev", "m00", num(noon, 1))
	want := []string{"m00"}
	for i := 40; i > 0; i-- {
		m.Readings = append(m.Readings, trefoil.Reading{Metric: fmt.Sprintf("m%02d", i), Time: noon, Value: trefoil.NumberValue(1)})
		want = append(want, fmt.Sprintf("m%02d", 41-i))
	}
	h.commit(m, message("dev2", "else", num(noon, 1)))
	h.commit(m)
	got, err := h.s.Metrics(context.Background(), "dev")
	h.want("error of metrics", err, nil)
	h.want("metrics", got, want)
	for _, name := range want {
		h.want(name, len(h.all("dev", name)), 1)
	}
}

func nothingThere(h *harness) {
	h.commit(message("dev", "m", num(noon, 1)))
	latest, err := h.s.Latest(context.Background(), "nobody")
	h.want("error of latest", err, nil)
	h.want("latest", len(latest), 0)
	names, err := h.s.Metrics(context.Background(), "nobody")
	h.want("error of metrics", err, nil)
	h.want("metrics", len(names), 0)
	h.want("readings of nobody", len(h.all("nobody", "m")), 0)
	h.want("readings of nothing", len(h.all("dev", "nothing")), 0)
}
