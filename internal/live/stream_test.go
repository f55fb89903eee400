package live_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/live"
)

func TestASnapshotIsFollowedByWhatIsCommittedAfterIt(t *testing.T) {
	w := newWorld("a", "b")
	h := live.New(live.Deps{Store: w, Devices: w})
	w.commit(h, message("a", 1000, "temperature", 20.5, "door", "open"), message("b", 1000, "on", true))

	v := open(t, h)
	if f := next(t, v, "hello"); f.Seq != 1 {
		t.Errorf("hello has seq %d, want 1", f.Seq)
	}
	subscribe(t, v, live.Request{ID: "s", Devices: []string{"*"}})
	got := next(t, v, "snapshot")
	want := []rowJSON{
		{Device: "a", T: 1000, Values: map[string]any{"temperature": 20.5, "door": "open"}},
		{Device: "b", T: 1000, Values: map[string]any{"on": true}},
	}
	if d := cmp.Diff(want, got.Rows); d != "" || got.Seq != 1 {
		t.Errorf("snapshot has seq %d, want 1, and rows (-want +got):\n%s", got.Seq, d)
	}

	w.commit(h, message("a", 2000, "temperature", 21))
	got = next(t, v, "readings")
	want = []rowJSON{{Device: "a", T: 2000, Values: map[string]any{"temperature": 21.0}}}
	if d := cmp.Diff(want, got.Rows); d != "" || got.Seq != 2 || got.Received != 2000 {
		t.Errorf("readings have seq %d and received %v, want 2 and 2000, and rows (-want +got):\n%s", got.Seq, got.Received, d)
	}
}

func TestAReadingIsEncodedOnceForAllViewers(t *testing.T) {
	w := newWorld("a")
	h := live.New(live.Deps{Store: w, Devices: w})
	var viewers []*live.Viewer
	for range 1000 {
		v := open(t, h)
		subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}})
		next(t, v, "hello")
		next(t, v, "snapshot")
		viewers = append(viewers, v)
	}
	w.commit(h, message("a", 1000, "x", 1, "y", 2))
	for _, v := range viewers {
		if f := next(t, v, "readings"); len(f.Rows) != 1 {
			t.Fatalf("got %d rows, want 1", len(f.Rows))
		}
	}
	if s := h.Stats(); s.Rows != 1 || s.Readings != 2 {
		t.Errorf("encoded %d rows with %d readings for 1000 viewers, want 1 with 2", s.Rows, s.Readings)
	}
}

func TestAFilterLetsOnlyItsMetricsPass(t *testing.T) {
	w := newWorld("a")
	h := live.New(live.Deps{Store: w, Devices: w})
	w.commit(h, message("a", 1000, "x", 1, `quo"te`, 2, "z", 3))
	v := open(t, h)
	next(t, v, "hello")
	subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}, Metrics: []string{`quo"te`, "z"}})
	want := []rowJSON{{Device: "a", T: 1000, Values: map[string]any{`quo"te`: 2.0, "z": 3.0}}}
	if d := cmp.Diff(want, next(t, v, "snapshot").Rows); d != "" {
		t.Errorf("snapshot (-want +got):\n%s", d)
	}
	w.commit(h, message("a", 2000, "x", 1))                                  // nothing passes
	w.commit(h, message("a", 3000, "x", 1, `quo"te`, "a\\\",}b", "y", true)) // a part passes
	want = []rowJSON{{Device: "a", T: 3000, Values: map[string]any{`quo"te`: "a\\\",}b"}}}
	if d := cmp.Diff(want, next(t, v, "readings").Rows); d != "" {
		t.Errorf("readings (-want +got):\n%s", d)
	}
}

func TestAMessageIsOneRowPerTimeAndTheLastOfEqualMetricsCounts(t *testing.T) {
	w := newWorld("a")
	h := live.New(live.Deps{Store: w, Devices: w})
	v := open(t, h)
	next(t, v, "hello")
	subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}})
	next(t, v, "snapshot")
	m := message("a", 2000, "x", 1, "y", 2, "x", 3)
	m.Readings = append(m.Readings, message("a", 1000, "x", 9).Readings...)
	w.commit(h, m)
	want := []rowJSON{
		{Device: "a", T: 1000, Values: map[string]any{"x": 9.0}},
		{Device: "a", T: 2000, Values: map[string]any{"x": 3.0, "y": 2.0}},
	}
	if d := cmp.Diff(want, next(t, v, "readings").Rows); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
}

func TestACommitBetweenReadingAndAnnouncingIsNeitherLostNorDoubled(t *testing.T) {
	w := newWorld("a")
	h := live.New(live.Deps{Store: w, Devices: w})
	w.commit(h, message("a", 1000, "x", 1, "y", 1))
	m := message("a", 2000, "x", 2)
	done := make(chan struct{})
	w.store(m) // the store shows it, the hub does not know it yet
	w.onRead = func(trefoil.DeviceID) {
		go func() {
			h.Committed(2, 0, []*trefoil.Message{m})
			close(done)
		}()
	}
	v := open(t, h)
	next(t, v, "hello")
	subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}})
	got := next(t, v, "snapshot")
	want := []rowJSON{
		{Device: "a", T: 1000, Values: map[string]any{"y": 1.0}},
		{Device: "a", T: 2000, Values: map[string]any{"x": 2.0}},
	}
	if d := cmp.Diff(want, got.Rows); d != "" || got.Seq != 2 {
		t.Errorf("snapshot has seq %d, want 2, and rows (-want +got):\n%s", got.Seq, d)
	}
	<-done
	w.commit(h, message("a", 3000, "x", 3))
	if got := next(t, v, "readings"); got.Seq != 3 || len(got.Rows) != 1 {
		t.Errorf("then came seq %d with %d rows, want 3 with 1", got.Seq, len(got.Rows))
	}
}
