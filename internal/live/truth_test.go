package live_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/live"
)

// watcher is a viewer that keeps what it was shown, and complains about what
// it was shown twice.
type watcher struct {
	t       *testing.T
	name    string
	hub     *live.Hub
	request live.Request
	viewer  *live.Viewer
	values  map[string]map[string]point // device, metric
	seen    map[string]bool             // readings that came as rows
	came    int                         // readings in frames of readings
	skipped int
	resets  int
	last    trefoil.Seq
}

type point struct {
	T float64
	V any
}

func newWatcher(t *testing.T, h *live.Hub, name string, r live.Request) *watcher {
	w := &watcher{t: t, name: name, hub: h, request: r, values: map[string]map[string]point{}, seen: map[string]bool{}}
	w.connect()
	return w
}

func (w *watcher) connect() {
	v, err := w.hub.Open(live.Identity{User: w.name})
	if err != nil {
		w.t.Fatalf("%s: open: %v", w.name, err)
	}
	w.viewer = v
	if err := v.Subscribe(w.request); err != nil {
		w.t.Fatalf("%s: subscribe: %v", w.name, err)
	}
}

// reconnect drops the connection with everything that waits in it.
func (w *watcher) reconnect() {
	w.viewer.Close()
	w.request.Since = new(w.last)
	w.connect()
}

// drain takes up to n frames, as long as there are some without time passing.
func (w *watcher) drain(n int) {
	for range n {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Microsecond)
		f, err := w.viewer.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if err != nil {
			w.t.Fatalf("%s: next: %v", w.name, err)
		}
		w.take(decode(w.t, f.Data))
	}
}

func (w *watcher) take(f frame) {
	w.skipped += f.Skipped
	switch f.Op {
	case "snapshot":
		clear(w.values)
		for _, r := range f.Rows {
			w.put(r)
		}
		w.last = f.Seq
	case "reset":
		w.resets++
	case "readings":
		if f.Seq < w.last {
			w.t.Errorf("%s: seq %d after %d", w.name, f.Seq, w.last)
		}
		for _, r := range f.Rows {
			w.count(r)
			w.put(r)
		}
		w.last = f.Seq
	case "device":
		if f.Device.Removed {
			delete(w.values, f.Device.ID)
			maps.DeleteFunc(w.seen, func(key string, _ bool) bool { return strings.HasPrefix(key, f.Device.ID+" ") })
		}
	}
}

// count complains about a row that came before. Every reading of this test
// has a number of its own.
func (w *watcher) count(r rowJSON) {
	for m, v := range r.Values {
		key := fmt.Sprint(r.Device, " ", m, " ", v)
		if w.seen[key] {
			w.t.Errorf("%s: reading %s came twice", w.name, key)
		}
		w.seen[key] = true
		w.came++
	}
}

func (w *watcher) put(r rowJSON) {
	if w.values[r.Device] == nil {
		w.values[r.Device] = map[string]point{}
	}
	for m, v := range r.Values {
		if old, ok := w.values[r.Device][m]; !ok || old.T <= r.T {
			w.values[r.Device][m] = point{r.T, v}
		}
	}
}

// truth is what a watcher must know in the end.
func (w *world) truth(devices []string, metrics []string) map[string]map[string]point {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]map[string]point{}
	for id, series := range w.latest {
		if !slices.Contains(devices, "*") && !slices.Contains(devices, string(id)) {
			continue
		}
		for m, r := range series {
			if len(metrics) > 0 && !slices.Contains(metrics, m) {
				continue
			}
			if all[string(id)] == nil {
				all[string(id)] = map[string]point{}
			}
			all[string(id)][m] = point{float64(r.Time) / 1000, r.Value.Float()}
		}
	}
	return all
}

// generator makes readings of which no two are equal; some are late, some
// replace an earlier one.
type generator struct {
	r   *rand.Rand
	ids []trefoil.DeviceID
	n   int
}

func (g *generator) batch() []*trefoil.Message {
	var batch []*trefoil.Message
	for range g.r.IntN(8) {
		t := int64(1000 + g.n/20 - g.r.IntN(3))
		m := message(g.ids[g.r.IntN(len(g.ids))], t)
		for _, name := range []string{"x", "y", "z"} {
			if g.r.IntN(2) == 0 {
				g.n++
				m.Readings = append(m.Readings, message(m.Device, t, name, g.n).Readings...)
			}
		}
		if len(m.Readings) > 0 {
			batch = append(batch, m)
		}
	}
	return batch
}

// A slow, a fast, a filtered and a reconnecting viewer, and one whose devices
// follow the registry, watch thousands of commits, with queue and ring so
// small that they overflow all the time.
func TestWhatViewersSeeIsTheTruthWithoutGapAndWithoutDouble(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { watchTheTruth(t, seed) })
		})
	}
}

func watchTheTruth(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld("a", "b", "c", "d")
	g := &generator{r: r, ids: []trefoil.DeviceID{"a", "b", "c", "d"}}
	h := live.New(live.Deps{Store: w, Devices: w, Limits: live.Limits{Ring: 4000 + r.IntN(40_000), Queue: 8000 + r.IntN(8000)}})
	inside := false
	w.onRead = func(trefoil.DeviceID) { // commits come while a snapshot is read
		if !inside && r.IntN(3) == 0 {
			inside = true
			w.commit(h, g.batch()...)
			inside = false
		}
	}
	w.commit(h, g.batch()...)
	fast := newWatcher(t, h, "fast", live.Request{ID: "s", Devices: []string{"*"}})
	slow := newWatcher(t, h, "slow", live.Request{ID: "s", Devices: []string{"*"}})
	some := newWatcher(t, h, "filtered", live.Request{ID: "s", Devices: []string{"a", "c"}, Metrics: []string{"x", "z"}})
	back := newWatcher(t, h, "reconnecting", live.Request{ID: "s", Devices: []string{"b", "c"}})
	watchers := []*watcher{fast, slow, some, back}
	for step := range 600 {
		w.commit(h, g.batch()...)
		fast.drain(10)
		some.drain(r.IntN(4))
		if step%97 == 0 {
			slow.drain(3)
		}
		switch r.IntN(20) {
		case 0:
			back.drain(50)
		case 1:
			back.reconnect()
		case 2:
			some.viewer.Progress()
		}
	}
	for _, v := range watchers {
		time.Sleep(time.Second) // the time of the bubble: the alarm rings
		v.drain(10_000)
		if d := cmp.Diff(w.truth(v.request.Devices, v.request.Metrics), v.values); d != "" {
			t.Errorf("%s knows something else than the store (-store +viewer):\n%s", v.name, d)
		}
		v.viewer.Close()
	}
	if fast.skipped != 0 || fast.resets != 0 {
		t.Errorf("the fast viewer skipped %d readings and was reset %d times, want none", fast.skipped, fast.resets)
	}
	if slow.skipped == 0 {
		t.Errorf("the slow viewer skipped nothing; the test is too easy")
	}
	if s := h.Stats(); s.Viewers != 0 || s.Subscriptions != 0 {
		t.Errorf("after all left there are %d viewers and %d subscriptions", s.Viewers, s.Subscriptions)
	}
}

// Every reading is delivered or counted: what comes in frames of readings and
// what they say was skipped are together what was committed.
func TestDeliveredAndSkippedAreTogetherWhatWasCommitted(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			w := newWorld("a", "b", "c")
			g := &generator{r: r, ids: []trefoil.DeviceID{"a", "b", "c"}}
			h := live.New(live.Deps{Store: w, Devices: w, Limits: live.Limits{Ring: 3000 + r.IntN(30_000), Queue: 1500}})
			v := newWatcher(t, h, "viewer", live.Request{ID: "s", Devices: []string{"a", "c"}})
			v.drain(10)
			committed := 0
			for range 500 {
				batch := g.batch()
				for _, m := range batch {
					if m.Device != "b" {
						committed += len(m.Readings)
					}
				}
				w.commit(h, batch...)
				if r.IntN(30) == 0 {
					v.drain(1 + r.IntN(3))
				}
			}
			time.Sleep(time.Second)
			v.drain(10_000)
			if v.came+v.skipped != committed {
				t.Errorf("seed %d: %d came and %d were skipped, together %d; committed were %d", seed, v.came, v.skipped, v.came+v.skipped, committed)
			}
			v.viewer.Close()
		})
	}
}

// Devices are created, tagged, untagged and removed while viewers watch them
// by tag, by name and all together.
func TestViewersFollowTheRegistry(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { followTheRegistry(t, seed) })
		})
	}
}

func followTheRegistry(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	w := newWorld("a", "b", "c", "d")
	g := &generator{r: r, ids: []trefoil.DeviceID{"a", "b"}}
	h := live.New(live.Deps{Store: w, Devices: w, Limits: live.Limits{Ring: 2000 + r.IntN(40_000), Queue: 1000 + r.IntN(4000)}})
	w.onRead = func(trefoil.DeviceID) {
		if r.IntN(3) == 0 {
			w.commit(h, message("a", int64(900+g.n/20)))
		}
	}
	watchers := map[string]*watcher{
		"tag":   newWatcher(t, h, "tag", live.Request{ID: "s", Tags: []string{"site:roanoke"}}),
		"all":   newWatcher(t, h, "all", live.Request{ID: "s", Devices: []string{"*"}}),
		"named": newWatcher(t, h, "named", live.Request{ID: "s", Devices: []string{"a", "d"}}),
	}
	for range 400 {
		changeSomething(w, h, r)
		g.ids = w.Match(nil)
		if slices.Sort(g.ids); len(g.ids) > 0 {
			w.commit(h, g.batch()...)
		}
		for _, name := range []string{"tag", "all", "named"} {
			if r.IntN(3) > 0 {
				watchers[name].drain(r.IntN(6))
			}
		}
	}
	time.Sleep(time.Second)
	for name, v := range watchers {
		v.drain(10_000)
		devices := v.request.Devices
		if name == "tag" {
			devices = []string{"none"}
			for _, id := range w.Match(v.request.Tags) {
				devices = append(devices, string(id))
			}
		}
		if d := cmp.Diff(w.truth(devices, nil), v.known()); d != "" {
			t.Errorf("%s knows something else than the store (-store +viewer):\n%s", name, d)
		}
		v.viewer.Close()
	}
}

// known is what the viewer knows of devices with readings.
func (w *watcher) known() map[string]map[string]point {
	maps.DeleteFunc(w.values, func(_ string, m map[string]point) bool { return len(m) == 0 })
	return w.values
}

func changeSomething(w *world, h *live.Hub, r *rand.Rand) {
	id := []trefoil.DeviceID{"a", "b", "c", "d"}[r.IntN(4)]
	d, exists := w.Device(id)
	switch r.IntN(12) {
	case 0:
		if exists {
			w.remove(h, id)
		}
	case 1, 2:
		w.set(h, trefoil.Device{ID: id, Tags: trefoil.Tags{"site": "roanoke"}})
	case 3:
		if exists {
			w.set(h, trefoil.Device{ID: id})
		}
	case 4:
		if exists {
			d.Presence.Online = !d.Presence.Online
			w.set(h, d)
		}
	}
}
