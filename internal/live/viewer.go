package live

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Frame is one message to a viewer, encoded.
type Frame struct {
	Op   string
	ID   string        // of the subscription, or ""
	Seq  trefoil.Seq   // everything of the subscription up to this commit was sent; 0 where it says nothing
	Data []byte        // JSON; valid until the next call of Next
	sub  *subscription // nil: of the viewer as a whole
}

// Viewer is one who watches. One goroutine calls [Viewer.Next] in a loop;
// another one may subscribe and unsubscribe at the same time.
type Viewer struct {
	hub     *Hub
	who     Identity
	bell    chan struct{} // rung when there may be something to do
	replies chan Frame    // answers to what the viewer asked
	done    chan struct{} // closed with ended

	called bool // the alarm is to wake it; lock of the hub

	expiry *time.Timer // nil if its credential does not expire

	mu    sync.Mutex
	subs  []*subscription
	tasks []*task
	turn  int // index in subs of the next one to serve
	ended error

	// Of the goroutine that calls Next.
	out    []Frame
	buf    []byte
	worked bool // a task went first in this call

	frames, skipped atomic.Uint64
}

// keptReplies is how many answers wait for a viewer before its next request
// is not read.
const keptReplies = 16

// Open admits a viewer. The error is [ErrClosing] after [Hub.Close].
func (h *Hub) Open(who Identity) (*Viewer, error) {
	v := &Viewer{
		hub:     h,
		who:     who,
		bell:    make(chan struct{}, 1),
		replies: make(chan Frame, keptReplies),
		done:    make(chan struct{}),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosing
	}
	h.viewers[v] = struct{}{}
	h.serving.Add(1)
	if !who.Until.IsZero() {
		v.expiry = time.AfterFunc(who.Until.Sub(h.now()), func() { v.end(ErrExpired) })
	}
	v.out = append(v.out, helloFrame(h.seq, h.instant()))
	return v, nil
}

// Close takes the viewer and its subscriptions out of the hub. It may be
// called more than once.
func (v *Viewer) Close() {
	v.end(errGone)
	if v.expiry != nil {
		v.expiry.Stop()
	}
	for _, s := range v.subscriptions() {
		v.hub.cancel(s)
	}
	h := v.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, here := h.viewers[v]; here {
		delete(h.viewers, v)
		h.stats.Frames += v.frames.Load()
		h.stats.Skipped += v.skipped.Load()
		h.serving.Done()
	}
}

// end makes Next return err.
func (v *Viewer) end(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended == nil {
		v.ended = err
		close(v.done)
	}
}

func (v *Viewer) err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ended
}

func (v *Viewer) allows(id trefoil.DeviceID) bool {
	return v.who.Allowed == nil || v.who.Allowed(id)
}

func (v *Viewer) rouse() {
	select {
	case v.bell <- struct{}{}:
	default: // it will look anyway
	}
}

func (v *Viewer) start(t *task) {
	v.mu.Lock()
	v.tasks = append(v.tasks, t)
	v.mu.Unlock()
	v.rouse()
}

// Progress makes Next tell, for every subscription that waits for nothing, up
// to which commit it has everything. A viewer of quiet devices can then resume
// later than the ring would otherwise allow. Called now and then.
func (v *Viewer) Progress() {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.subs {
		if s.live && len(s.pending) == 0 && s.sent < v.hub.seq {
			s.sent, s.progress = v.hub.seq, true
		}
	}
	v.rouse()
}

// answer puts an answer to a request before everything else. It waits if many
// answers wait.
func (v *Viewer) answer(ctx context.Context, f Frame) error {
	select {
	case v.replies <- f:
		return nil
	case <-v.done:
		return v.err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *Viewer) subscriptions() []*subscription {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.subs)
}

func (v *Viewer) counts() (subscriptions int, frames, skipped uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.subs), v.frames.Load(), v.skipped.Load()
}

// Next waits for the next frame. It returns the error of ctx, or why the
// viewer was ended: [ErrKicked], [ErrExpired], [ErrClosing].
func (v *Viewer) Next(ctx context.Context) (Frame, error) {
	v.worked = false
	for {
		if err := v.err(); err != nil {
			return Frame{}, err
		}
		now := v.hub.now()
		f, found, due := v.ready(now)
		if found {
			v.frames.Add(1)
			return f, nil
		}
		progress, advanced, err := v.work(ctx)
		if err != nil {
			return Frame{}, err
		}
		if progress {
			continue
		}
		if err := v.wait(ctx, now, due, advanced); err != nil {
			return Frame{}, err
		}
	}
}

// wait blocks until there may be something to do.
func (v *Viewer) wait(ctx context.Context, now, due time.Time, advanced <-chan struct{}) error {
	var timeout <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(due.Sub(now))
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-v.bell:
	case f := <-v.replies:
		v.out = slices.Insert(v.out, 0, f)
	case <-timeout:
	case <-advanced:
	case <-v.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// ready gives a frame that can be sent now: answers first, then what tasks
// made, then the subscriptions in turn. Between two frames of readings a task
// may go on, so that a busy subscription does not hold up a new one. Without a
// frame, due says when to look again; zero: when the bell rings.
func (v *Viewer) ready(now time.Time) (f Frame, found bool, due time.Time) {
	select {
	case f := <-v.replies:
		return f, true, due
	default:
	}
	for len(v.out) > 0 {
		f := v.out[0]
		v.out[0] = Frame{}
		v.out = v.out[1:]
		if f.sub == nil || !f.sub.isCancelled() {
			return f, true, due
		}
	}
	v.out = nil
	if v.hasTask() && !v.worked {
		return Frame{}, false, due
	}
	return v.serve(now)
}

func (v *Viewer) hasTask() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.tasks) > 0
}

// work does a step of the oldest task.
func (v *Viewer) work(ctx context.Context) (progress bool, advanced <-chan struct{}, err error) {
	v.mu.Lock()
	if len(v.tasks) == 0 {
		v.mu.Unlock()
		return false, nil, nil
	}
	t := v.tasks[0]
	v.mu.Unlock()

	first := !v.worked
	v.worked = true
	finished, advanced, err := t.step(ctx, v)
	if err != nil {
		return false, nil, err
	}
	if finished {
		v.mu.Lock()
		if v.tasks = v.tasks[1:]; len(v.tasks) == 0 {
			v.tasks = nil
		}
		v.mu.Unlock()
	}
	return first || finished || advanced == nil, advanced, nil
}

// serve makes a frame of what waits for the subscriptions.
func (v *Viewer) serve(now time.Time) (f Frame, found bool, due time.Time) {
	p, due := v.pick(now)
	switch {
	case p.sub == nil:
		return Frame{}, false, due
	case p.device != "":
		frames := v.changeFrames(p.sub, p.told)
		v.out = append(v.out, frames[1:]...)
		return frames[0], true, due
	}
	v.skipped.Add(uint64(p.skipped))
	if cap(v.buf) > 4*frameSize {
		v.buf = nil // one large commit is no reason to keep so much
	}
	v.buf = appendReadings(v.buf[:0], p.sub.id, p.seq, trefoil.InstantOf(now), p.rows, p.skipped)
	return Frame{Op: "readings", ID: p.sub.id, Seq: p.seq, Data: v.buf, sub: p.sub}, true, due
}

// picked is what to send next: a change of a device, or readings.
type picked struct {
	told
	sub     *subscription
	rows    []*row
	seq     trefoil.Seq
	skipped int
}

// pick takes what the next subscription in turn has to send.
func (v *Viewer) pick(now time.Time) (p picked, due time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for range v.subs {
		if v.turn >= len(v.subs) {
			v.turn = 0
		}
		s := v.subs[v.turn]
		v.turn++
		if c, some := s.nextChange(); some {
			return picked{sub: s, told: c}, due
		}
		switch {
		case len(s.pending) == 0 && !s.progress:
		case s.due.After(now):
			due = sooner(due, s.due)
		default:
			p = picked{sub: s, rows: s.take(), seq: s.sent, skipped: s.skipped}
			s.skipped, s.progress = 0, false
			s.due = now.Add(s.interval)
			return p, due
		}
	}
	return picked{}, due
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
