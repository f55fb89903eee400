package history_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

func gapsOf(t testing.TB, h *history.History, q history.GapQuery) history.Gaps {
	t.Helper()
	all, err := h.Gaps(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func TestGapsAreFoundWhateverTheJitter(t *testing.T) {
	s, h := open(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		device := trefoil.DeviceID("d" + time.Duration(n).String())
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		cadence := trefoil.Instant(rapid.SampledFrom([]int{1, 10, 60, 900}).Draw(rt, "cadence")) * second
		var list []trefoil.Reading
		var want []history.Gap
		at := start
		for range 300 {
			next := at + cadence + trefoil.Instant(r.Int64N(int64(cadence)/5)) - cadence/10
			if len(list) > 0 && r.IntN(20) == 0 { // lost some
				next += cadence * trefoil.Instant(3+r.IntN(50))
				want = append(want, history.Gap{From: list[len(list)-1].Time, To: next})
			}
			at = next
			list = append(list, reading("m", at, 1))
		}
		putFor(t, s, device, list...)
		got := gapsOf(t, h, history.GapQuery{Device: device, From: start, To: at + 1})
		if off := got.Cadence.Seconds()/cadence.Time().Sub(time.Unix(0, 0)).Seconds() - 1; off < -0.03 || off > 0.03 {
			rt.Fatalf("cadence: got %v, want %v", got.Cadence, cadence.Sub(0))
		}
		for i := range got.Gaps {
			got.Gaps[i].Missing = 0
		}
		if !slices.Equal(got.Gaps, want) {
			rt.Fatalf("got %v, want %v", got.Gaps, want)
		}
	})
}

func TestGapsAtTheSidesOfTheRangeBelongToIt(t *testing.T) {
	s, h := open(t)
	var list []trefoil.Reading
	for i := range 100 {
		if i < 40 || i >= 60 {
			list = append(list, reading("m", start+trefoil.Instant(i)*10*second, 1))
		}
	}
	put(t, s, list...)
	at := func(i int) trefoil.Instant { return start + trefoil.Instant(i)*10*second }
	for _, c := range []struct {
		name          string
		from, to, now trefoil.Instant
		want          []history.Gap
	}{
		{"ends inside a gap", at(0), at(50), 0, []history.Gap{{From: at(39), To: at(50), Missing: 10}}},
		{"begins inside a gap", at(50), at(70), 0, []history.Gap{{From: at(50), To: at(60), Missing: 9}}},
		{"before the first reading nothing is missing", at(-1000), at(30), 0, []history.Gap{}},
		{"silent until now", at(60), at(500), at(200), []history.Gap{{From: at(99), To: at(200), Missing: 100}}},
		{"not silent for long", at(60), at(500), at(101), []history.Gap{}},
	} {
		got := gapsOf(t, h, history.GapQuery{Device: "dev", From: c.from, To: c.to, Now: c.now})
		if d := cmp.Diff(c.want, got.Gaps); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
	if got := gapsOf(t, h, history.GapQuery{Device: "dev", From: at(0), To: at(100), Factor: 21.5}); len(got.Gaps) != 0 {
		t.Errorf("with a larger factor: got %v, want none", got.Gaps)
	}
	got := gapsOf(t, h, history.GapQuery{Device: "dev", From: at(0), To: at(30), Cadence: time.Second})
	if len(got.Gaps) != 30 || got.Missing != 30*9 || got.Time != 300*time.Second {
		t.Errorf("with a given cadence: got %d gaps with %d missing in %v, want 30, 270, 5m", len(got.Gaps), got.Missing, got.Time)
	}
	if got := gapsOf(t, h, history.GapQuery{Device: "dev", From: at(2), To: at(3), Now: at(90)}); got.Cadence != 0 || len(got.Gaps) != 0 {
		t.Errorf("with one reading: got cadence %v and %v, want none", got.Cadence, got.Gaps)
	}
}

func TestOnlyTheLongestGapsAreKept(t *testing.T) {
	s, h := open(t)
	var list []trefoil.Reading
	at := start
	for i := range 5000 {
		if at += second; i%4 == 0 {
			at += 10 * second
		}
		if i == 17 {
			at += 3600 * second
		}
		list = append(list, reading("m", at, 1))
	}
	put(t, s, list...)
	got := gapsOf(t, h, history.GapQuery{Device: "dev", From: start, To: at + 1})
	if len(got.Gaps) != history.MaxGaps || !got.More || !slices.ContainsFunc(got.Gaps, func(g history.Gap) bool { return g.Missing > 3500 }) {
		t.Errorf("got %d gaps, more %v; want %d with the longest, and more", len(got.Gaps), got.More, history.MaxGaps)
	}
}

func TestBadQuestionsAboutGapsSayWhatIsAllowed(t *testing.T) {
	s, h := open(t)
	put(t, s, sensor("m", 10)...)
	for says, q := range map[string]history.GapQuery{
		"1.1 to 1000": {Factor: 0.5},
		"cadence":     {Cadence: -1},
		"before":      {From: start + 1e15},
		"there are m": {Metrics: []string{"x"}},
	} {
		q.Device, q.To = "dev", start+1e12
		if _, err := h.Gaps(t.Context(), q); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got error %v, want one with %q", err, says)
		}
	}
}
