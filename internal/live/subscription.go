package live

import (
	"time"

	"github.com/trefoil-iot/trefoil"
)

// subscription is one wish of one viewer and what waits for it.
type subscription struct {
	viewer   *Viewer
	id       string
	tags     []string
	filter   *filter
	interval time.Duration

	// Under the lock of the hub.
	members map[trefoil.DeviceID]struct{} // nil: every device
	decided map[trefoil.DeviceID]bool     // changes of members while they are looked up; else nil
	live    bool                          // rows go to pending; else a task brings them later
	missed  int                           // readings that came while not live
	grown   trefoil.Seq                   // when the last device was added
	arrived []trefoil.DeviceID            // devices that were added while not live
	staged  []*row                        // of the commit that is being told

	// Under the lock of the viewer.
	pending    []*row // in the order of commits
	bytes      int    // of pending
	sent       trefoil.Seq
	introduced bool // its snapshot was sent, or it was resumed
	progress   bool // tell how far it is even if there is nothing to send
	skipped    int  // to be told with the next readings
	changes    map[trefoil.DeviceID]change
	changed    []trefoil.DeviceID // keys of changes, oldest first
	due        time.Time          // no readings before it
	cancelled  bool
}

// change is what a viewer must be told about a device.
type change struct {
	removed bool // first say that it is gone
	present bool // say how it is now
}

// covers says whether the subscription watches the device. Lock of the hub
// held.
func (s *subscription) covers(device trefoil.DeviceID) bool {
	if s.members == nil {
		return true
	}
	_, ok := s.members[device]
	return ok
}

// matches says whether a subscription whose devices follow the registry
// should watch this one.
func (s *subscription) matches(d trefoil.Device) bool {
	if !s.viewer.allows(d.ID) {
		return false
	}
	for _, t := range s.tags {
		if !d.Tags.Has(t) {
			return false
		}
	}
	return true
}

// accept appends rows of one commit and says whether there was room. What
// waits is at most the queue's limit, or one commit if that is more. Locks of
// hub and viewer held.
func (s *subscription) accept(rows []*row, limit int) bool {
	size := 0
	for _, r := range rows {
		size += r.size()
	}
	if len(s.pending) > 0 && s.bytes+size > limit {
		return false
	}
	s.pending = append(s.pending, rows...)
	s.bytes += size
	return true
}

// lag gives up what waits; a task will fetch it from the ring when the viewer
// is ready. Locks held.
func (s *subscription) lag() {
	s.live = false
	s.missed = readingsIn(s.pending) + readingsIn(s.staged) + s.skipped
	s.pending, s.bytes, s.skipped = nil, 0, 0
}

// note remembers that the viewer must be told about a device, and forgets
// waiting readings of a device that was removed. Lock of the viewer held.
func (s *subscription) note(device trefoil.DeviceID, removed, present bool) {
	if s.changes == nil {
		s.changes = map[trefoil.DeviceID]change{}
	}
	old, known := s.changes[device]
	if !known {
		s.changed = append(s.changed, device)
	}
	s.changes[device] = change{removed: removed || old.removed, present: present}
	if removed {
		s.forget(device)
	}
}

func (s *subscription) forget(device trefoil.DeviceID) {
	kept := s.pending[:0]
	for _, r := range s.pending {
		if r.device == device {
			s.bytes -= r.size()
			s.skipped += r.readings
			continue
		}
		kept = append(kept, r)
	}
	clear(s.pending[len(kept):])
	s.pending = kept
}

// told is a device and what is to be told about it.
type told struct {
	device trefoil.DeviceID
	change
}

// nextChange takes the oldest change. Lock of the viewer held.
func (s *subscription) nextChange() (told, bool) {
	if !s.introduced || len(s.changed) == 0 {
		return told{}, false
	}
	id := s.changed[0]
	c := s.changes[id]
	delete(s.changes, id)
	if s.changed = s.changed[1:]; len(s.changed) == 0 {
		s.changed, s.changes = nil, nil // gives the memory of a storm back
	}
	return told{id, c}, true
}

// takeChanges takes all changes, or that of one device. Lock of the viewer
// held.
func (s *subscription) takeChanges(only trefoil.DeviceID) []told {
	var list []told
	var kept []trefoil.DeviceID
	for _, id := range s.changed {
		if only != "" && only != id {
			kept = append(kept, id)
			continue
		}
		list = append(list, told{id, s.changes[id]})
		delete(s.changes, id)
	}
	s.changed = kept
	return list
}

// frameSize is about how many bytes of rows go into one frame.
const frameSize = 256 << 10

// take gives the next rows to send: whole commits, so that the number of the
// last one says exactly what the viewer has. Lock of the viewer held.
func (s *subscription) take() []*row {
	size, n := 0, 0
	for n < len(s.pending) {
		r := s.pending[n]
		if size > frameSize && r.seq != s.pending[n-1].seq {
			break
		}
		size += r.size()
		n++
	}
	rows := s.pending[:n:n]
	s.bytes -= size
	if s.pending = s.pending[n:]; len(s.pending) == 0 {
		s.pending = nil
	}
	if n > 0 {
		s.sent = rows[n-1].seq
	}
	return rows
}

func readingsIn(rows []*row) int {
	n := 0
	for _, r := range rows {
		n += r.readings
	}
	return n
}
