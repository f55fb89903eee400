package live_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/live"
)

// world is a store and a registry in memory that behave as their contracts
// say, and the model against which viewers are compared.
type world struct {
	mu      sync.Mutex
	seq     trefoil.Seq
	latest  map[trefoil.DeviceID]map[string]trefoil.Reading
	devices map[trefoil.DeviceID]trefoil.Device
	onRead  func(trefoil.DeviceID) // runs after a read, as if commits came then
}

func newWorld(ids ...trefoil.DeviceID) *world {
	w := &world{latest: map[trefoil.DeviceID]map[string]trefoil.Reading{}, devices: map[trefoil.DeviceID]trefoil.Device{}}
	for _, id := range ids {
		w.devices[id] = trefoil.Device{ID: id, Name: string(id)}
	}
	return w
}

func (w *world) Latest(_ context.Context, id trefoil.DeviceID) ([]trefoil.Reading, error) {
	w.mu.Lock()
	list := slices.SortedFunc(maps.Values(w.latest[id]), func(a, b trefoil.Reading) int {
		if a.Metric < b.Metric {
			return -1
		}
		return 1
	})
	hook := w.onRead
	w.mu.Unlock()
	if hook != nil {
		hook(id)
	}
	return list, nil
}

func (w *world) Seq() trefoil.Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seq
}

func (w *world) Device(id trefoil.DeviceID) (trefoil.Device, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.devices[id]
	return d, ok
}

func (w *world) Match(tags []string) []trefoil.DeviceID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []trefoil.DeviceID
	for id, d := range w.devices {
		if !slices.ContainsFunc(tags, func(t string) bool { return !d.Tags.Has(t) }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// store makes messages durable, as the commit of the store does; the hub is
// told afterwards.
func (w *world) store(messages ...*trefoil.Message) trefoil.Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	for _, m := range messages {
		if w.latest[m.Device] == nil {
			w.latest[m.Device] = map[string]trefoil.Reading{}
		}
		for _, r := range m.Readings {
			if old, ok := w.latest[m.Device][r.Metric]; !ok || old.Time <= r.Time {
				w.latest[m.Device][r.Metric] = r
			}
		}
	}
	return w.seq
}

func (w *world) commit(h *live.Hub, messages ...*trefoil.Message) trefoil.Seq {
	seq := w.store(messages...)
	h.Committed(seq, trefoil.InstantOf(time.Now()), messages)
	return seq
}

func (w *world) set(h *live.Hub, d trefoil.Device) {
	w.mu.Lock()
	w.devices[d.ID] = d
	w.mu.Unlock()
	h.DeviceChanged(live.Event{Device: d})
}

func (w *world) remove(h *live.Hub, id trefoil.DeviceID) {
	w.mu.Lock()
	delete(w.devices, id)
	delete(w.latest, id)
	w.seq++
	seq := w.seq
	w.mu.Unlock()
	h.Committed(seq, trefoil.InstantOf(time.Now()), nil)
	h.DeviceChanged(live.Event{Device: trefoil.Device{ID: id}, Removed: true})
}

// message makes one with numbers, all at the same millisecond.
func message(id trefoil.DeviceID, ms int64, metrics ...any) *trefoil.Message {
	m := &trefoil.Message{Device: id, Via: trefoil.ViaMQTT, Received: trefoil.Instant(ms * 1000)}
	for i := 0; i < len(metrics); i += 2 {
		v := trefoil.NumberValue(0)
		switch x := metrics[i+1].(type) {
		case int:
			v = trefoil.NumberValue(float64(x))
		case float64:
			v = trefoil.NumberValue(x)
		case bool:
			v = trefoil.BooleanValue(x)
		case string:
			v = trefoil.TextValue(x)
		}
		m.Readings = append(m.Readings, trefoil.Reading{Metric: metrics[i].(string), Time: trefoil.Instant(ms * 1000), Value: v})
	}
	return m
}

// frame is a frame as a viewer reads it.
type frame struct {
	Op       string       `json:"op"`
	ID       string       `json:"id"`
	Seq      trefoil.Seq  `json:"seq"`
	At       float64      `json:"at"`
	Received float64      `json:"received"`
	Skipped  int          `json:"skipped"`
	Code     trefoil.Code `json:"code"`
	Message  string       `json:"message"`
	Rows     []rowJSON    `json:"rows"`
	Devices  []deviceJSON `json:"devices"`
	Device   deviceJSON   `json:"device"`
}

type rowJSON struct {
	Device string         `json:"device"`
	T      float64        `json:"t"`
	Values map[string]any `json:"values"`
}

type deviceJSON struct {
	ID      string  `json:"id"`
	Online  bool    `json:"online"`
	Reason  string  `json:"reason"`
	Since   float64 `json:"since"`
	Removed bool    `json:"removed"`
}

func decode(t testing.TB, data []byte) frame {
	t.Helper()
	var f struct {
		frame
		Devices json.RawMessage `json:"devices"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatalf("frame is not JSON: %v\n%s", err, data)
	}
	if f.Op == "snapshot" {
		if err := json.Unmarshal(f.Devices, &f.frame.Devices); err != nil {
			t.Fatalf("devices of a snapshot: %v\n%s", err, data)
		}
	}
	return f.frame
}

func open(t testing.TB, h *live.Hub) *live.Viewer {
	t.Helper()
	v, err := h.Open(live.Identity{User: "ada"})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(v.Close)
	return v
}

// next takes a frame and checks its name.
func next(t testing.TB, v *live.Viewer, op string) frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	f, err := v.Next(ctx)
	if err != nil {
		t.Fatalf("next: %v, want frame %q", err, op)
	}
	got := decode(t, f.Data)
	if got.Op != op {
		t.Fatalf("got frame %s, want %q", f.Data, op)
	}
	return got
}

func subscribe(t testing.TB, v *live.Viewer, r live.Request) {
	t.Helper()
	if err := v.Subscribe(r); err != nil {
		t.Fatalf("subscribe %+v: %v", r, err)
	}
}
