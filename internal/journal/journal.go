// Package journal remembers the last connection events of every device: when
// it connected and from where, how connections ended, which logins were
// refused and why. From them [Explain] answers in one sentence why a device
// is offline.
package journal

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Kind says what happened.
type Kind string

// The kinds.
const (
	Connected    Kind = "connected"
	Disconnected Kind = "disconnected"
	Refused      Kind = "refused" // a login
)

// Event is something that happened to the connection of a device.
type Event struct {
	Kind      Kind
	Time      trefoil.Instant // of the latest one, if it counts several
	First     trefoil.Instant // of the first one; Time when it is the only one
	Count     int64           // equal refusals in a row are one event; 0 means 1
	Address   string          // of the client, host:port
	Client    string          // MQTT client id
	Protocol  string          // "3.1.1" or "5.0"; "" when a login was refused
	Transport string          // "tcp", "tls", "ws" or "wss"; "" when a login was refused
	Reason    string          // one of trefoil.Reason… for Disconnected
	Detail    string          // more for people, or ""
	KeepAlive time.Duration   // as agreed; 0: none
	Heard     trefoil.Instant // when the last packet came, for a lost keep-alive; else 0
}

// Bound is the number of events that are kept of each device.
const Bound = 50

// maxText bounds what a client can put into an event.
const maxText = 200

// Writer runs changes of rows inside the next commit, see registry.Writer.
type Writer interface {
	Do(ctx context.Context, fn func(ctx context.Context, w store.Writer) error) error
}

// Options are what a [Journal] needs.
type Options struct {
	Rows   store.Querier // reads what is committed
	Writer Writer
	Log    *slog.Logger
}

// Journal keeps the events. It may be used by many goroutines at once.
type Journal struct {
	Options

	mu      sync.Mutex
	pending map[trefoil.DeviceID][]Event // at most Bound of each device, oldest first
	wake    chan struct{}                // holds one token while pending is not empty

	// Of devices with events since the start. Only for the goroutine in Run,
	// but for Forget.
	stateMu sync.Mutex
	states  map[trefoil.DeviceID]*state
}

// state is where the events of a device stand.
type state struct {
	number  int64  // of the last event
	refusal *Event // the last event, if it was a refusal: an equal one is counted with it
}

// New makes a journal. Nothing is stored before Run.
func New(o Options) *Journal {
	return &Journal{
		Options: o, pending: make(map[trefoil.DeviceID][]Event), wake: make(chan struct{}, 1),
		states: make(map[trefoil.DeviceID]*state),
	}
}

// Add notes an event of a device; one of a device that does not exist is not
// kept. It returns at once: [Journal.Run] stores what has gathered. Of a
// device that does more than the bound meanwhile, the oldest are dropped,
// which would have been overwritten anyway.
func (j *Journal) Add(id trefoil.DeviceID, e Event) {
	e.First, e.Count = cmp.Or(e.First, e.Time), max(e.Count, 1)
	e.Client, e.Detail = cut(e.Client), cut(e.Detail)
	j.mu.Lock()
	j.pending[id] = appendEvent(j.pending[id], e)
	j.mu.Unlock()
	j.signal()
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default: // it is awake
	}
}

// appendEvent adds e, or counts it with the last one.
func appendEvent(list []Event, e Event) []Event {
	if n := len(list); n > 0 && list[n-1].repeatedBy(e) {
		list[n-1] = list[n-1].with(e)
		return list
	}
	if len(list) == Bound {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, e)
}

// repeatedBy reports whether next is the same refusal once more: a device with
// a wrong token tries again for ever, and must not push out what came before.
func (e Event) repeatedBy(next Event) bool {
	return e.Kind == Refused && next.Kind == Refused && e.Detail == next.Detail && host(e.Address) == host(next.Address)
}

func (e Event) with(next Event) Event {
	next.First, next.Count = e.First, e.Count+next.Count
	return next
}

// Of gives the events of a device that are stored, the latest first.
func (j *Journal) Of(ctx context.Context, id trefoil.DeviceID) ([]Event, error) {
	events, err := selectEvents(ctx, j.Rows, id)
	if err != nil {
		return nil, fmt.Errorf("read the events of device %s: %w", id, err)
	}
	return events, nil
}

// Forget drops what is known of a deleted device. Its rows go with it.
func (j *Journal) Forget(id trefoil.DeviceID) {
	j.mu.Lock()
	delete(j.pending, id)
	j.mu.Unlock()
	j.stateMu.Lock()
	delete(j.states, id)
	j.stateMu.Unlock()
}
