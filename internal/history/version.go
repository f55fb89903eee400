package history

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Versions remembers, for every device, which commits changed which part of
// its past, so that an answer that somebody has can be recognised as current
// without computing it again. It is told of every commit, as an observer of
// the commit loop, and begins empty with the process.
//
// A device that sends in order changes only the present, and leaves the
// version of a range that has ended as it is. A late reading changes the
// version of all ranges that end after it. The memory of one device is
// bounded; what is coarse because of that changes a version too often, never
// too rarely.
type Versions struct {
	mu      sync.RWMutex
	seen    trefoil.Seq
	devices map[trefoil.DeviceID][]change
}

// change says that commits up to seq changed nothing that is older than from,
// and that later changes, if any, are in the entries after this one.
type change struct {
	from trefoil.Instant
	seq  trefoil.Seq
}

const (
	maxChanges = 64        // of one device
	fineness   = microHour // of their times
)

// NewVersions makes versions that know of no change after the commit current.
func NewVersions(current trefoil.Seq) *Versions {
	return &Versions{seen: current, devices: make(map[trefoil.DeviceID][]change)}
}

// Committed notes what a commit changed.
func (v *Versions) Committed(seq trefoil.Seq, _ trefoil.Instant, stored []*trefoil.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, m := range stored {
		if len(m.Readings) == 0 {
			continue
		}
		from := m.Readings[0].Time
		for i := range m.Readings {
			from = min(from, m.Readings[i].Time)
		}
		v.devices[m.Device] = noted(v.devices[m.Device], change{floor(from, fineness), seq})
	}
	v.seen = seq
}

// noted adds a change to those of a device, which are in ascending order of
// both time and commit.
func noted(all []change, c change) []change {
	for len(all) > 0 && all[len(all)-1].from >= c.from {
		all = all[:len(all)-1]
	}
	if len(all) == maxChanges { // the two oldest become one
		all[1].from = all[0].from
		all = append(all[:0], all[1:]...)
	}
	return append(all, c)
}

// Forget lets go of a device that was deleted.
func (v *Versions) Forget(id trefoil.DeviceID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.devices, id)
}

// Of gives the version of everything before to of the device: the number of
// the last commit that may have changed it, 0 for none since the process
// began. It is no use, and ok is false, when it may not know of the commit
// current yet.
func (v *Versions) Of(id trefoil.DeviceID, to trefoil.Instant, current trefoil.Seq) (seq trefoil.Seq, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	all := v.devices[id]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].from < to {
			return all[i].seq, v.seen >= current
		}
	}
	return 0, v.seen >= current
}

// Beginning tells when the readings of a series begin in a range: the single
// ones, and those of which at least a summary is left; where there are none,
// an instant before all readings.
type Beginning struct {
	Metric         string
	First, Summary trefoil.Instant
}

// Beginnings gives those of the first device of q. With the version of the
// range they tell whether an answer is still the same: what retention takes
// away begins at the oldest.
func (h *History) Beginnings(ctx context.Context, q Query) ([]Beginning, error) {
	plans, err := h.plan(ctx, q)
	if err != nil {
		return nil, err
	}
	all := make([]Beginning, 0, len(plans))
	for _, p := range plans {
		r := store.ReadRequest{Device: p.devices[0], Metric: p.series.Metric, From: q.From, To: q.To}
		b := Beginning{Metric: p.series.Metric}
		if b.First, err = h.beginning(ctx, r); err != nil {
			return nil, err
		}
		r.Resolution = time.Hour
		if b.Summary, err = h.beginning(ctx, r); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// beginning is the time of the first block of readings that the store gives.
func (h *History) beginning(ctx context.Context, r store.ReadRequest) (trefoil.Instant, error) {
	first := firstInstant
	err := h.store.Read(ctx, r, func(b store.Block) error {
		first = b.First.Time
		return errLimit
	})
	if errors.Is(err, errLimit) {
		err = nil
	}
	return first, err
}
