package live

import (
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// UnknownDevices is the error of [Viewer.Subscribe] for devices that do not
// exist or that the viewer may not see: to it, they are the same.
type UnknownDevices struct {
	IDs []trefoil.DeviceID
	err error
}

func (u *UnknownDevices) Error() string { return u.err.Error() }
func (u *UnknownDevices) Unwrap() error { return u.err }

// Subscribe begins a subscription, or refuses it as a whole. It is answered
// by a snapshot; if Since is given, by readings (perhaps without rows) that
// go on where the viewer was, or by a reset and a snapshot.
func (v *Viewer) Subscribe(r Request) error {
	sel, err := r.check(v.hub.limits.Devices)
	if err != nil {
		return err
	}
	if err := v.knows(sel.devices); err != nil {
		return err
	}
	s := &subscription{viewer: v, id: r.ID, interval: r.interval()}
	if len(sel.devices) > 0 {
		return v.hub.watchNamed(s, sel, r.Since)
	}
	if len(sel.tags) > 0 || v.who.Allowed != nil {
		return v.hub.watchMatching(s, sel, r.Since)
	}
	return v.hub.watchAll(s, sel, r.Since)
}

func (v *Viewer) knows(ids []trefoil.DeviceID) error {
	var unknown []trefoil.DeviceID
	for _, id := range ids {
		if _, ok := v.hub.devices.Device(id); !ok || !v.allows(id) {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return &UnknownDevices{IDs: unknown, err: trefoil.Errorf(trefoil.CodeNotFound,
		"%d of %d devices do not exist, %s among them; nothing was subscribed to", len(unknown), len(ids), unknown[0])}
}

// admit puts s into the viewer's list. Lock of the hub held.
func (h *Hub) admit(s *subscription, metrics []string) error {
	v := s.viewer
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.ended != nil:
		return v.ended
	case len(v.subs) >= h.limits.Subscriptions:
		return trefoil.Errorf(trefoil.CodeTooMany, "%d subscriptions; no more are allowed for one viewer", len(v.subs))
	case slices.ContainsFunc(v.subs, func(o *subscription) bool { return o.id == s.id }):
		return trefoil.Errorf(trefoil.CodeConflict, "subscription %q exists; unsubscribe it first", s.id)
	}
	s.filter = h.index.filter(metrics)
	v.subs = append(v.subs, s)
	return nil
}

func (h *Hub) watchNamed(s *subscription, sel selection, since *trefoil.Seq) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.admit(s, sel.metrics); err != nil {
		return err
	}
	resume := since != nil && h.reaches(*since)
	s.members = make(map[trefoil.DeviceID]struct{}, len(sel.devices))
	now := h.now()
	for _, id := range sel.devices {
		if resume && !h.holds(h.index.devices[id], *since) && !h.holds(h.index.all, *since) {
			resume = false
		}
		s.members[id] = struct{}{}
		h.index.device(id, h.seq, now).add(s)
	}
	h.introduce(s, since, resume, sel.devices)
	return nil
}

func (h *Hub) watchAll(s *subscription, sel selection, since *trefoil.Seq) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.admit(s, sel.metrics); err != nil {
		return err
	}
	resume := since != nil && h.reaches(*since) && h.holds(h.index.all, *since)
	h.index.everything(h.seq).add(s)
	h.introduce(s, since, resume, nil)
	return nil
}

// watchMatching begins a subscription whose devices follow the registry. What
// the registry reports while it is asked for the devices counts more than its
// answer. Such a subscription is not resumed: that a device left it in the
// meantime is not in the ring.
func (h *Hub) watchMatching(s *subscription, sel selection, since *trefoil.Seq) error {
	s.tags = sel.tags
	s.members = map[trefoil.DeviceID]struct{}{}
	s.decided = map[trefoil.DeviceID]bool{}
	h.mu.Lock()
	err := h.admit(s, sel.metrics)
	if err == nil {
		h.index.wake(h.seq)
		h.index.dynamic[s] = struct{}{}
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	found := h.devices.Match(s.tags)

	h.mu.Lock()
	defer h.mu.Unlock()
	if s.isCancelled() { // by the end of its viewer
		return errGone
	}
	for _, id := range found {
		if _, known := s.decided[id]; !known && s.viewer.allows(id) {
			s.members[id] = struct{}{}
		}
	}
	for id, wanted := range s.decided {
		if wanted {
			s.members[id] = struct{}{}
		}
	}
	s.decided = nil
	s.grown = h.seq
	now := h.now()
	devices := make([]trefoil.DeviceID, 0, len(s.members))
	for id := range s.members {
		h.index.device(id, h.seq, now).add(s)
		devices = append(devices, id)
	}
	h.introduce(s, since, false, devices)
	return nil
}

// reaches says whether the ring has every entry from seq on. Changes of
// devices that carry the number seq itself are needed too.
func (h *Hub) reaches(seq trefoil.Seq) bool {
	return h.index.active() && h.index.since < seq && seq <= h.seq && h.ring.evicted < seq
}

// introduce plans the answer to a subscription.
func (h *Hub) introduce(s *subscription, since *trefoil.Seq, resume bool, devices []trefoil.DeviceID) {
	t := &task{sub: s, kind: snapshot, todo: devices}
	switch {
	case resume:
		t = h.catchUpTask(s, *since, false)
	case since != nil:
		t.reset = true
	}
	s.viewer.start(t)
}

// Unsubscribe ends a subscription; no frame of it comes after the return.
func (v *Viewer) Unsubscribe(id string) error {
	for _, s := range v.subscriptions() {
		if s.id == id {
			v.hub.cancel(s)
			return nil
		}
	}
	return trefoil.Errorf(trefoil.CodeNotFound, "there is no subscription %q", id)
}

// cancel takes s out of everything.
func (h *Hub) cancel(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := s.viewer
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.cancelled {
		return
	}
	s.cancelled = true
	s.pending, s.changes, s.changed = nil, nil, nil
	v.subs = slices.DeleteFunc(v.subs, func(o *subscription) bool { return o == s })
	now := h.now()
	for id := range s.members {
		if w := h.index.devices[id]; w != nil {
			w.remove(s, now)
		}
	}
	if s.members == nil && h.index.all != nil {
		h.index.all.remove(s, now)
	}
	delete(h.index.dynamic, s)
	h.index.release(s.filter)
}

func (s *subscription) isCancelled() bool {
	s.viewer.mu.Lock()
	defer s.viewer.mu.Unlock()
	return s.cancelled
}
