package registry

import (
	"sync"

	"github.com/trefoil-iot/trefoil"
)

// EventKind says what happened to a device.
type EventKind int

// The kinds.
const (
	Created         EventKind = iota + 1
	Updated                   // name, tags or profile
	Deleted                   // its connections must be cut
	TokenRevoked              // connections with the old token must be cut
	PresenceChanged           // online or offline
)

// Event is something that happened to a device and is committed. Device is
// its state after the event, or before it for [Deleted]; its tags must not be
// changed.
type Event struct {
	Kind   EventKind
	Device trefoil.Device
}

// OnChange registers fn to be called after the commit of every change. Calls
// for changes of one kind of one device come in their order, in the goroutine
// that made the change: fn must return quickly and must not change devices.
func (r *Registry) OnChange(fn func(Event)) { r.watchers.add(fn) }

type watchers struct {
	mu  sync.RWMutex
	fns []func(Event)
}

func (w *watchers) add(fn func(Event)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fns = append(w.fns, fn)
}

func (w *watchers) tell(e Event) {
	w.mu.RLock()
	fns := w.fns
	w.mu.RUnlock()
	for _, fn := range fns {
		fn(e)
	}
}
