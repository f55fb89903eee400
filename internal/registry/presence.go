package registry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// SetPresence notes that the device connected or went away; a zero Since
// means now. It returns at once: [Registry.Run] stores what has gathered in
// one change, and only then [Registry.Find] and the watchers know it. Of
// several changes of a device that gather, the last one counts, which bounds
// the queue by the number of devices.
func (r *Registry) SetPresence(id trefoil.DeviceID, p trefoil.Presence) {
	if p.Since == 0 {
		p.Since = r.instant()
	}
	r.presence.put(id, p)
}

// presenceQueue gathers what is to be stored.
type presenceQueue struct {
	mu      sync.Mutex
	pending map[trefoil.DeviceID]trefoil.Presence
	wake    chan struct{} // holds one token while pending is not empty
}

func newPresenceQueue() presenceQueue {
	return presenceQueue{pending: make(map[trefoil.DeviceID]trefoil.Presence), wake: make(chan struct{}, 1)}
}

func (q *presenceQueue) put(id trefoil.DeviceID, p trefoil.Presence) {
	q.mu.Lock()
	q.pending[id] = p
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// forget drops what is pending for a deleted device: it must not reach a new
// one of the same name.
func (q *presenceQueue) forget(id trefoil.DeviceID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.pending, id)
}

func (q *presenceQueue) take() map[trefoil.DeviceID]trefoil.Presence {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.pending
	q.pending = make(map[trefoil.DeviceID]trefoil.Presence)
	return p
}

// giveBack returns what could not be stored, unless there is newer.
func (q *presenceQueue) giveBack(failed map[trefoil.DeviceID]trefoil.Presence) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, p := range failed {
		if _, newer := q.pending[id]; !newer {
			q.pending[id] = p
		}
	}
}

// lastFlush bounds how long the end of [Registry.Run] waits for the store.
const lastFlush = 5 * time.Second

// Run stores changes of presence until ctx ends, and then what is left. The
// commit loop must still run when it returns.
func (r *Registry) Run(ctx context.Context) error {
	for {
		select {
		case <-r.presence.wake:
			if err := r.flush(ctx); err != nil && ctx.Err() == nil {
				r.log.Warn("presence of devices is not stored yet, trying again", slog.Any("error", err))
				r.pause(ctx)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			return r.flush(last)
		}
	}
}

// pause keeps a failing store from being asked all the time.
func (r *Registry) pause(ctx context.Context) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	select {
	case r.presence.wake <- struct{}{}:
	default:
	}
}

func (r *Registry) flush(ctx context.Context) error {
	taken := r.presence.take()
	if len(taken) == 0 {
		return nil
	}
	err := r.do(ctx, "store presence", func(ctx context.Context, w store.Writer) error {
		return updatePresence(ctx, w, taken)
	})
	if err != nil {
		r.presence.giveBack(taken)
		return err
	}
	for _, d := range r.applyPresence(taken) {
		r.watchers.tell(Event{Kind: PresenceChanged, Device: d})
	}
	return nil
}

// applyPresence updates the mirror and gives the devices that changed.
func (r *Registry) applyPresence(taken map[trefoil.DeviceID]trefoil.Presence) []trefoil.Device {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := make([]trefoil.Device, 0, len(taken))
	for id, p := range taken {
		e := r.devices[id]
		if e == nil {
			continue
		}
		switch was := e.device.Presence.Online; {
		case p.Online && !was:
			r.online++
		case !p.Online && was:
			r.online--
		}
		e.device.Presence = p
		changed = append(changed, e.device)
	}
	return changed
}
