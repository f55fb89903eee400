package live

import (
	"context"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// catchUpTask makes a task that goes on after a commit. Lock of the hub held.
func (h *Hub) catchUpTask(s *subscription, from trefoil.Seq, late bool) *task {
	t := &task{sub: s, kind: catchUp, from: from, late: late, cursor: h.ring.after(from)}
	if !late && from > 0 { // changes of devices have the number of the commit before them
		t.cursor = h.ring.after(from - 1)
	}
	if h.ring.evicted > from {
		t.cursor = 0 // before the beginning: it will begin anew
	}
	return t
}

// purpose says what a [task] is for.
type purpose uint8

const (
	// snapshot: the newest reading of every series, then the stream.
	snapshot purpose = iota
	// catchUp: what the ring has since a commit, then the stream.
	catchUp
	// fetchAdded: the newest readings of a device that came to a subscription;
	// its stream is on its way already.
	fetchAdded
)

// task brings a subscription to the point where the stream can take over. It
// is done in short steps by the goroutine that calls [Viewer.Next].
//
// The store may be ahead of what the hub was told. So a task reads the store
// first, then applies the ring from a place before the reading up to its end,
// and that end must not lie before what the store may have shown. See
// DESIGN.md.
type task struct {
	sub    *subscription
	kind   purpose
	reset  bool             // say reset before the snapshot
	late   bool             // the viewer was slow
	device trefoil.DeviceID // fetchAdded: which
	from   trefoil.Seq      // catchUp: the viewer has everything up to here

	begun   bool
	todo    []trefoil.DeviceID            // not yet read from the store
	waiting map[trefoil.DeviceID]struct{} // todo as a set
	devices []trefoil.DeviceID            // all whose presence is to be told
	cursor  uint64                        // place in the ring up to which it is applied
	need    trefoil.Seq                   // what the store may have shown
	state   latest
	rows    []*row // catchUp, as long as they fit the queue
	bytes   int
	total   int    // catchUp: readings seen
	changes []told // catchUp of one who resumes: of devices, from the ring
	void    bool   // catchUp: the ring will not do
	dropped bool   // the device went again; under the lock of the viewer
}

// Sizes of a step.
const (
	devicesPerStep = 256
	entriesPerStep = 4096
)

// step does a part of the task. If advanced is not nil, nothing more can be
// done before it is closed. An error is the end of ctx or of the viewer.
func (t *task) step(ctx context.Context, v *Viewer) (finished bool, advanced <-chan struct{}, err error) {
	h := v.hub
	if t.sub.isCancelled() {
		return true, nil, nil
	}
	t.begin(h)
	if err := t.read(ctx, v); err != nil {
		return false, nil, err
	}
	part := t.fetch(h)
	if part.lost {
		h.log.Debug("the ring was too short for a live subscription; it begins anew", "user", v.who.User, "subscription", t.sub.id)
		return t.again(h), nil, nil
	}
	for _, r := range part.rows {
		t.apply(h, r)
	}
	switch {
	case part.cancelled:
		return true, nil, nil
	case part.complete:
		v.out = append(v.out, t.frames(h, part)...)
		return true, nil, nil
	default:
		return false, part.advanced, nil
	}
}

// begin chooses the place in the ring from which the task goes on.
func (t *task) begin(h *Hub) {
	if t.begun {
		return
	}
	t.begun = true
	t.state = latest{}
	h.mu.Lock()
	everything := t.sub.members == nil
	if t.kind == snapshot {
		t.cursor = h.ring.end()
	}
	h.mu.Unlock()
	if t.kind == snapshot && everything {
		t.todo = h.devices.Match(nil)
	}
	t.devices = slices.Clone(t.todo)
	t.waiting = make(map[trefoil.DeviceID]struct{}, len(t.todo))
	for _, id := range t.todo {
		t.waiting[id] = struct{}{}
	}
}

// again makes the task a snapshot that says reset, because the ring no longer
// has what it needs. finished says that the task is not needed any more.
func (t *task) again(h *Hub) (finished bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := task{sub: t.sub, kind: snapshot, reset: t.reset || t.kind != snapshot, late: t.late}
	if t.kind == fetchAdded {
		if t.dropped || !h.interrupt(t.sub) { // the task that is on its way fetches the device too
			return true
		}
		fresh.late = true
	}
	h.dropAdded(t.sub, "")
	t.sub.arrived = nil
	for id := range t.sub.members {
		fresh.todo = append(fresh.todo, id)
	}
	*t = fresh
	return false
}

// interrupt stops the stream of a subscription, so that it can begin anew. If
// it does not run, the catching up that waits is told to begin anew, and the
// answer is false. Lock of the hub held.
func (h *Hub) interrupt(s *subscription) bool {
	v := s.viewer
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.live {
		s.lag()
		return true
	}
	for _, t := range v.tasks {
		if t.sub == s && t.kind == catchUp {
			t.void = true
		}
	}
	return false
}

// read loads some devices from the store.
func (t *task) read(ctx context.Context, v *Viewer) error {
	n := min(len(t.todo), devicesPerStep)
	if n == 0 {
		return nil
	}
	select {
	case v.hub.reads <- struct{}{}:
		defer func() { <-v.hub.reads }()
	case <-v.done:
		return v.err()
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, id := range t.todo[:n] {
		readings, err := v.hub.store.Latest(ctx, id)
		if err != nil {
			return trefoil.Errorf(trefoil.CodeUnavailable, "reading the latest values of %s: %w", id, err)
		}
		t.state.load(id, readings, t.sub.filter)
		delete(t.waiting, id)
	}
	t.todo = t.todo[n:]
	t.need = v.hub.store.Seq()
	return nil
}

// fetched is a part of the ring.
type fetched struct {
	rows      []*row
	lost      bool            // entries are gone that the task needs
	complete  bool            // the stream has taken over
	cancelled bool            //
	seq       trefoil.Seq     // of the take-over
	missed    int             // readings that came before it
	changes   []told          // to be told at it
	advanced  <-chan struct{} // set if the hub must be told of a commit first
}

// fetch takes entries from the ring, and at its end makes the subscription
// live in the same moment, so that nothing lies between.
func (t *task) fetch(h *Hub) (f fetched) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.cursor < h.ring.first || t.void {
		f.lost = true
		return f
	}
	if len(t.sub.arrived) > 0 && t.kind != fetchAdded {
		f.lost = t.kind == catchUp
		t.takeAlong()
		return f
	}
	stop := min(h.ring.end(), t.cursor+entriesPerStep)
	for ; t.cursor < stop; t.cursor++ {
		if r := h.ring.at(t.cursor); t.concerns(r) {
			f.rows = append(f.rows, r)
		}
	}
	switch {
	case t.cursor < h.ring.end() || len(t.todo) > 0:
	case h.seq < t.need:
		if h.advanced == nil {
			h.advanced = make(chan struct{})
		}
		f.advanced = h.advanced
	default:
		t.takeOver(h, &f)
	}
	return f
}

// concerns says whether an entry belongs to the task. Entries of devices that
// are still to be read from the store do not: the store will show them.
func (t *task) concerns(r *row) bool {
	if t.kind == fetchAdded {
		return r.device == t.device
	}
	_, waits := t.waiting[r.device]
	return !waits && t.sub.covers(r.device)
}

func (t *task) takeOver(h *Hub, f *fetched) {
	s := t.sub
	s.viewer.mu.Lock()
	defer s.viewer.mu.Unlock()
	f.complete, f.cancelled = true, s.cancelled || t.dropped
	if t.kind == fetchAdded {
		f.seq = s.sent // of the stream, which goes its own way
		if !f.cancelled {
			f.changes = s.takeChanges(t.device)
		}
		return
	}
	f.changes = s.takeChanges("")
	f.seq, f.missed = h.seq, s.missed
	s.missed = 0
	s.live, s.sent, s.introduced = true, h.seq, true
	if t.reset {
		h.stats.Resets++
	}
}

// apply takes in an entry of the ring.
func (t *task) apply(h *Hub, full *row) {
	r := t.sub.filter.of(full)
	switch {
	case r == nil:
	case t.kind == fetchAdded:
		t.state.subtract(r)
	case t.kind == snapshot:
		t.state.apply(r)
	case r.kind != isReadings:
		t.turn(r)
	case r.seq > t.from:
		t.keep(r, h.limits.Queue)
	}
}

// keep collects rows of a viewer who catches up, and when they are too many,
// only the latest readings.
func (t *task) keep(r *row, limit int) {
	t.total += r.readings
	if t.rows == nil && t.bytes > 0 {
		t.state.apply(r)
		return
	}
	t.rows = append(t.rows, r)
	t.bytes += r.size()
	if t.bytes > limit {
		for _, r := range t.rows {
			t.state.apply(r)
		}
		t.rows = nil
	}
}

// turn follows the change of a device while catching up.
func (t *task) turn(r *row) {
	if r.kind == isRemoval {
		t.state.apply(r)
		kept := t.rows[:0]
		for _, o := range t.rows {
			if o.device != r.device {
				kept = append(kept, o)
			}
		}
		t.rows = kept
	}
	if t.late {
		return // the viewer is told anyway
	}
	t.changes = append(t.changes, told{r.device, change{removed: r.kind == isRemoval, present: r.kind != isRemoval}})
}

// takeAlong adds devices that came to the subscription in the meantime. Lock
// of the hub held.
func (t *task) takeAlong() {
	for _, id := range t.sub.arrived {
		if _, waits := t.waiting[id]; waits || !t.sub.covers(id) {
			continue
		}
		t.todo = append(t.todo, id)
		t.devices = append(t.devices, id)
		t.waiting[id] = struct{}{}
	}
	t.sub.arrived = nil
}
