package storetest

import (
	"cmp"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

func modelTests() []test {
	return []test{{"any mix of early, late and repeated readings gives what a sorted map gives", sortedMap}}
}

// sortedMap lets rapid choose what is written in which order and when the
// store crashes, and compares with a map.
func sortedMap(h *harness) {
	device := 0
	rapid.Check(h.t, func(t *rapid.T) {
		device++ // a device of its own for each run, in one database
		id := trefoil.DeviceID("dev-" + string(rune('a'+device%26)) + string(rune('a'+device/26)))
		model := map[trefoil.Instant]trefoil.Value{}
		for range rapid.IntRange(1, 12).Draw(t, "commits") {
			samples := rapid.SliceOfN(sample(), 0, 40).Draw(t, "samples")
			h.commit(message(id, "m", samples...))
			for _, x := range samples {
				model[x.Time] = x.Value
			}
			if rapid.IntRange(0, 19).Draw(t, "crash") == 0 {
				h.crash()
			}
		}
		h.want("all", h.all(id, "m"), fromMap(model, -1<<62, 1<<62))
		from := rapid.Custom(instant).Draw(t, "from")
		to := rapid.Custom(instant).Draw(t, "to")
		h.want("range", h.read(store.ReadRequest{Device: id, Metric: "m", From: from, To: to}), fromMap(model, from, to))
		if h.t.Failed() {
			t.FailNow()
		}
	})
}

func fromMap(model map[trefoil.Instant]trefoil.Value, from, to trefoil.Instant) []store.Sample {
	var out []store.Sample
	for _, t := range slices.SortedFunc(maps.Keys(model), cmp.Compare[trefoil.Instant]) {
		if t >= from && t < to {
			out = append(out, store.Sample{Time: t, Value: model[t]})
		}
	}
	return out
}

// instant draws from a grid of five hours, so that times meet often.
func instant(t *rapid.T) trefoil.Instant {
	at := noon + trefoil.Instant(rapid.IntRange(0, 5*12).Draw(t, "grid"))*300*second
	return at + trefoil.Instant(rapid.SampledFrom([]int{0, 0, 0, -1, 1, 137}).Draw(t, "off"))
}

func sample() *rapid.Generator[store.Sample] {
	return rapid.Custom(func(t *rapid.T) store.Sample {
		at := instant(t)
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return boolean(at, rapid.Bool().Draw(t, "boolean"))
		case 1:
			return text(at, rapid.SampledFrom([]string{"", "open", "closed", "ä"}).Draw(t, "text"))
		case 2:
			return num(at, rapid.Float64Range(-1e300, 1e300).Draw(t, "any"))
		default:
			return num(at, float64(rapid.IntRange(-5000, 5000).Draw(t, "hundredths"))/100)
		}
	})
}
