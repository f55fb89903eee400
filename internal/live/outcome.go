package live

import (
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// frames gives what the task was for.
func (t *task) frames(h *Hub, f fetched) []Frame {
	switch t.kind {
	case catchUp:
		return t.caughtUp(h, f)
	case fetchAdded:
		return t.added(h, f)
	default:
		return t.snapshot(h, f)
	}
}

// caughtUp tells first what became of devices: of one that was removed, the
// rows are those of its successor.
func (t *task) caughtUp(h *Hub, f fetched) []Frame {
	changes := t.changes // has those of f too
	if t.late {
		changes = f.changes
	}
	frames := t.told(changes)
	rows := t.rows
	if rows == nil {
		rows = t.state.rows(f.seq)
	}
	return append(frames, t.readings(h, f, rows, t.total-readingsIn(rows)))
}

func (t *task) added(h *Hub, f fetched) []Frame {
	frames := t.told(f.changes)
	if rows := t.state.rows(f.seq); len(rows) > 0 {
		frames = append(frames, t.readings(h, f, rows, 0))
	}
	return frames
}

func (t *task) told(changes []told) []Frame {
	var frames []Frame
	for _, c := range changes {
		frames = append(frames, t.sub.viewer.changeFrames(t.sub, c)...)
	}
	return frames
}

func (t *task) readings(h *Hub, f fetched, rows []*row, skipped int) Frame {
	t.sub.viewer.skipped.Add(uint64(skipped))
	data := appendReadings(nil, t.sub.id, f.seq, h.instant(), rows, skipped)
	return Frame{Op: "readings", ID: t.sub.id, Seq: f.seq, Data: data, sub: t.sub}
}

// snapshot leaves out the devices that went while it was made, and tells
// afterwards of those that came or changed.
func (t *task) snapshot(h *Hub, f fetched) []Frame {
	s := t.sub
	var frames, after []Frame
	if t.reset {
		frames = append(frames, resetFrame(s, f.seq))
	}
	gone := map[trefoil.DeviceID]bool{}
	for _, c := range f.changes {
		if c.present {
			after = append(after, s.viewer.changeFrames(s, told{c.device, change{present: true}})...)
		} else {
			gone[c.device] = true
			delete(t.state, c.device)
		}
	}
	skipped := 0
	if t.late {
		skipped = f.missed
		s.viewer.skipped.Add(uint64(skipped))
	}
	data := appendSnapshot(nil, s.id, f.seq, h.instant(), t.state.rows(f.seq), t.present(h, gone), skipped)
	frames = append(frames, Frame{Op: "snapshot", ID: s.id, Seq: f.seq, Data: data, sub: s})
	return append(frames, after...)
}

// present gives the devices of the snapshot, sorted by id.
func (t *task) present(h *Hub, gone map[trefoil.DeviceID]bool) []trefoil.Device {
	devices := make([]trefoil.Device, 0, len(t.devices))
	slices.Sort(t.devices)
	for _, id := range slices.Compact(t.devices) {
		if d, ok := h.devices.Device(id); ok && !gone[id] {
			devices = append(devices, d)
		}
	}
	return devices
}
