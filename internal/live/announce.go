package live

import (
	"time"

	"github.com/trefoil-iot/trefoil"
)

// narrowed is a row after a filter; nil row: nothing passed.
type narrowed struct {
	filter *filter
	row    *row
}

// announce encodes m if somebody watches its device, puts it into the ring
// and lays it out for the subscriptions. Lock held.
func (h *Hub) announce(seq trefoil.Seq, at trefoil.Instant, m *trefoil.Message) {
	w := h.index.devices[m.Device]
	if w == nil && h.index.all == nil {
		return
	}
	for _, r := range rowsOf(seq, at, m) {
		h.stats.Rows++
		h.stats.Readings += uint64(r.readings)
		h.ring.push(r)
		h.narrowed = h.narrowed[:0]
		if w != nil {
			h.stage(w.subs, r)
		}
		if h.index.all != nil {
			h.stage(h.index.all.subs, r)
		}
	}
}

func (h *Hub) stage(subs []*subscription, full *row) {
	for _, s := range subs {
		r := h.narrow(s.filter, full)
		switch {
		case r == nil:
		case !s.live:
			s.missed += r.readings
		default:
			if len(s.staged) == 0 {
				h.touched = append(h.touched, s)
			}
			s.staged = append(s.staged, r)
		}
	}
}

// narrow filters a row once for all who share the filter.
func (h *Hub) narrow(f *filter, r *row) *row {
	if f == nil {
		return r
	}
	for _, n := range h.narrowed {
		if n.filter == f {
			return n.row
		}
	}
	part := f.of(r)
	h.narrowed = append(h.narrowed, narrowed{filter: f, row: part})
	return part
}

// keptStaged is the largest slice of rows that a subscription keeps for the
// next commit.
const keptStaged = 256

// handOver gives the rows of a whole commit to the viewers, so that none ever
// sees a part of it. Lock held.
func (h *Hub) handOver() {
	for _, s := range h.touched {
		v := s.viewer
		v.mu.Lock()
		if !s.accept(s.staged, h.limits.Queue) {
			s.lag()
			t := h.catchUpTask(s, s.sent, true)
			t.void = s.grown > 0 && s.grown >= s.sent // the ring has more of a new device than the viewer may see twice
			v.tasks = append(v.tasks, t)
		}
		v.mu.Unlock()
		if cap(s.staged) > keptStaged {
			s.staged = nil
		} else {
			clear(s.staged)
			s.staged = s.staged[:0]
		}
		h.alarm.add(v)
	}
	clear(h.touched)
	h.touched = h.touched[:0]
	h.alarm.ring()
}

// changed is DeviceChanged with the lock held.
func (h *Hub) changed(e Event) {
	id := e.Device.ID
	k := isChange
	if e.Removed {
		k = isRemoval
	}
	h.ring.push(&row{seq: h.seq, device: id, kind: k})
	for s := range h.index.dynamic {
		h.follow(s, e)
	}
	if w := h.index.devices[id]; w != nil {
		h.tell(w.subs, e)
	}
	if h.index.all != nil {
		h.tell(h.index.all.subs, e)
	}
	h.alarm.ring()
}

// follow changes the set of devices of s after a change in the registry.
func (h *Hub) follow(s *subscription, e Event) {
	id := e.Device.ID
	wanted := !e.Removed && s.matches(e.Device)
	if s.decided != nil {
		s.decided[id] = wanted
		return
	}
	switch has := s.covers(id); {
	case wanted && !has:
		s.members[id] = struct{}{}
		h.index.device(id, h.seq, h.now()).add(s)
		s.grown = h.seq
		if !s.live { // the task on its way takes the device along
			s.arrived = append(s.arrived, id)
			break
		}
		s.viewer.start(&task{sub: s, kind: fetchAdded, device: id, todo: []trefoil.DeviceID{id}, cursor: h.ring.end()})
	case has && !wanted:
		delete(s.members, id)
		h.index.devices[id].remove(s, h.now())
		h.dropAdded(s, id)
		h.note(s, id, true, false)
	}
}

// dropAdded gives up fetching a device that was added to s, or with "" all of
// them. Lock held.
func (h *Hub) dropAdded(s *subscription, device trefoil.DeviceID) {
	v := s.viewer
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.tasks {
		if t.sub == s && t.kind == fetchAdded && (device == "" || device == t.device) {
			t.dropped = true
		}
	}
}

func (h *Hub) tell(subs []*subscription, e Event) {
	for _, s := range subs {
		h.note(s, e.Device.ID, e.Removed, !e.Removed)
	}
}

func (h *Hub) note(s *subscription, id trefoil.DeviceID, removed, present bool) {
	s.viewer.mu.Lock()
	s.note(id, removed, present)
	s.viewer.mu.Unlock()
	h.alarm.add(s.viewer)
}

// alarm wakes viewers: at once after a quiet time, else all together when the
// window is over, so that many commits make few frames. Its methods are
// called with the lock of the hub held.
type alarm struct {
	hub   *Hub
	who   []*Viewer
	last  time.Time
	timer *time.Timer
	armed bool
}

func newAlarm(h *Hub) alarm { return alarm{hub: h} }

func (a *alarm) add(v *Viewer) {
	if !v.called {
		v.called = true
		a.who = append(a.who, v)
	}
}

// perViewer makes the window longer when there are many to wake: it bounds
// the frames of all viewers together to 50,000 in a second.
const (
	perViewer  = 20 * time.Microsecond
	longWindow = 50 * time.Millisecond
)

func (a *alarm) ring() {
	if len(a.who) == 0 || a.armed {
		return
	}
	window := min(max(a.hub.limits.Window, time.Duration(len(a.who))*perViewer), longWindow)
	wait := window - a.hub.now().Sub(a.last)
	if wait <= 0 {
		a.wake()
		return
	}
	a.armed = true
	if a.timer == nil {
		a.timer = time.AfterFunc(wait, a.expire)
	} else {
		a.timer.Reset(wait)
	}
}

// expire runs in the timer's goroutine.
func (a *alarm) expire() {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	a.armed = false
	a.wake()
}

func (a *alarm) wake() {
	a.last = a.hub.now()
	for _, v := range a.who {
		v.called = false
		v.rouse()
	}
	clear(a.who)
	a.who = a.who[:0]
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.armed = true // nothing more is to be told
}
