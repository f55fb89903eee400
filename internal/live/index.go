package live

import (
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// index finds the subscriptions of a device. A device that nobody watches any
// more stays in it for a while, so that its readings go on into the ring and
// a viewer who lost the connection can resume.
type index struct {
	devices map[trefoil.DeviceID]*watch
	all     *watch                     // subscriptions to every device; nil if there were none lately
	dynamic map[*subscription]struct{} // whose set of devices follows the registry
	filters map[string]*filter
	since   trefoil.Seq // changes of devices are in the ring from here on
	swept   time.Time
}

// watch is the interest in one device, or in all.
type watch struct {
	subs []*subscription
	from trefoil.Seq // every reading above it went into the ring
	idle time.Time   // since when nobody watches
}

func newIndex() index {
	return index{
		devices: map[trefoil.DeviceID]*watch{},
		dynamic: map[*subscription]struct{}{},
		filters: map[string]*filter{},
	}
}

// active says whether anything has to go into the ring.
func (x *index) active() bool {
	return len(x.devices) > 0 || x.all != nil || len(x.dynamic) > 0
}

// device gives the watch of a device and makes it if need be; seq is the last
// commit that was told.
func (x *index) device(id trefoil.DeviceID, seq trefoil.Seq, now time.Time) *watch {
	x.wake(seq)
	w := x.devices[id]
	if w == nil {
		w = &watch{from: seq, idle: now}
		x.devices[id] = w
	}
	return w
}

// everything gives the watch of all devices and makes it if need be.
func (x *index) everything(seq trefoil.Seq) *watch {
	x.wake(seq)
	if x.all == nil {
		x.all = &watch{from: seq}
	}
	return x.all
}

func (x *index) wake(seq trefoil.Seq) {
	if !x.active() {
		x.since = seq
	}
}

func (w *watch) add(s *subscription) { w.subs = append(w.subs, s) }

func (w *watch) remove(s *subscription, now time.Time) {
	if i := slices.Index(w.subs, s); i >= 0 {
		w.subs = slices.Delete(w.subs, i, i+1)
	}
	w.idle = now
}

func (w *watch) unused(before time.Time) bool {
	return len(w.subs) == 0 && w.idle.Before(before)
}

// sweepEvery is how often watches are looked through that nobody needs.
const sweepEvery = 5 * time.Second

// sweep forgets watches that nobody used for the time of linger, and with the
// last one the ring.
func (h *Hub) sweep() {
	now := h.now()
	if now.Sub(h.index.swept) < sweepEvery {
		return
	}
	h.index.swept = now
	before := now.Add(-h.limits.Linger)
	for id, w := range h.index.devices {
		if w.unused(before) {
			delete(h.index.devices, id)
		}
	}
	if a := h.index.all; a != nil && a.unused(before) {
		h.index.all = nil
	}
	if !h.index.active() {
		h.ring.clear()
	}
}

// holds says whether the ring has everything of a watch above seq. Lock held.
func (h *Hub) holds(w *watch, seq trefoil.Seq) bool {
	return w != nil && w.from <= seq && h.ring.evicted <= seq
}
