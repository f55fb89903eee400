package registry

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

var connected = trefoil.Presence{Online: true, Reason: trefoil.ReasonConnected}

// running runs the registry until the test ends or stop is called.
func (b *bench) running() (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("run: %v", err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

func TestManyDevicesConnectInOneCommit(t *testing.T) {
	b := newBench(t)
	b.commits.twice = false
	const devices = 600 // more than fit into one statement
	for i := range devices {
		b.create(NewDevice{ID: trefoil.DeviceID(fmt.Sprintf("d%d", i))})
	}
	var told int
	b.OnChange(func(e Event) {
		if e.Kind == PresenceChanged && e.Device.Presence.Online {
			told++
		}
	})
	for i := range devices {
		b.SetPresence(trefoil.DeviceID(fmt.Sprintf("d%d", i)), connected)
	}
	b.SetPresence("deleted-meanwhile", connected)
	before := b.commits.count
	b.running()()
	if got := b.commits.count - before; got != 1 {
		t.Errorf("commits: got %d, want 1", got)
	}
	if _, online := b.Count(); online != devices || told != devices {
		t.Errorf("got %d online and %d events, want %d", online, told, devices)
	}
}

func TestDevicesAreOfflineAfterACrash(t *testing.T) {
	b := newBench(t)
	b.create(NewDevice{ID: "a"})
	b.create(NewDevice{ID: "never"})
	b.SetPresence("a", connected)
	b.running()()
	if d, _ := b.Find("a"); !d.Presence.Online {
		t.Fatalf("presence before: got %+v, want online", d.Presence)
	}
	b.clock = b.clock.Add(time.Hour)
	want := trefoil.Presence{Reason: trefoil.ReasonShutdown, Since: trefoil.InstantOf(b.clock)}
	for range 2 { // known at once, and stored by Run
		b.reopen()
		if d, _ := b.Find("a"); d.Presence != want {
			t.Errorf("presence after: got %+v, want %+v", d.Presence, want)
		}
		if d, _ := b.Find("never"); d.Presence != (trefoil.Presence{}) {
			t.Errorf("presence of a device that never connected: got %+v, want none", d.Presence)
		}
		b.running()()
	}
}

func TestTheLastPresenceCounts(t *testing.T) {
	b := newBench(t)
	b.create(NewDevice{ID: "a"})
	lost := trefoil.Presence{Reason: trefoil.ReasonLost, Since: 7}
	b.SetPresence("a", connected)
	b.SetPresence("a", lost)
	b.running()()
	if d, _ := b.Find("a"); d.Presence != lost {
		t.Errorf("presence: got %+v, want %+v", d.Presence, lost)
	}
	if _, online := b.Count(); online != 0 {
		t.Errorf("online: got %d, want 0", online)
	}
}

func TestAChangeOfTheDeviceKeepsItsPresence(t *testing.T) {
	b := newBench(t)
	b.create(NewDevice{ID: "a"})
	b.SetPresence("a", connected)
	b.running()()
	name := "new"
	d, err := b.Update(t.Context(), "a", DeviceChange{Name: &name})
	if err != nil || !d.Presence.Online {
		t.Errorf("presence after a change: got %+v, %v; want online", d.Presence, err)
	}
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, online := b.Count(); online != 0 {
		t.Errorf("online after deletion: got %d, want 0", online)
	}
}

// flaky fails for a while.
type flaky struct {
	mu    sync.Mutex
	fails int
	calls int
}

func (f *flaky) Do(context.Context, func(context.Context, store.Writer) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.calls <= f.fails {
		return trefoil.Errorf(trefoil.CodeUnavailable, "disk full")
	}
	return nil
}

func TestPresenceThatCouldNotBeStoredIsTriedAgain(t *testing.T) {
	b := newBench(t)
	b.create(NewDevice{ID: "a"})
	f := &flaky{fails: 3}
	b.writer = f
	synctest.Test(t, func(t *testing.T) {
		b.presence = newPresenceQueue() // made inside the bubble
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		b.SetPresence("a", connected)
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		if d, _ := b.Find("a"); !d.Presence.Online {
			t.Errorf("presence: got %+v after %d tries, want online", d.Presence, f.calls)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}
