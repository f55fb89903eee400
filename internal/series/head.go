package series

import (
	"strings"

	"github.com/trefoil-iot/trefoil"
)

// lateBatch is the least number of late readings that are merged at once.
// Fewer would make a device that sends its backlog pay for copying its whole
// head with every reading.
const lateBatch = 32

// Head holds the newest readings of one series in memory. One goroutine at a
// time may change it; [Head.Snapshot] may be called while nobody does, and the
// snapshot may be used at any time. The zero Head is empty.
type Head struct {
	main Columns  // sorted by time, no time twice
	late *Columns // in order of arrival, none after the last of main
}

// Append adds a reading; one of the same time is replaced. It keeps v but no
// reference to memory of v's text.
func (h *Head) Append(t trefoil.Instant, v trefoil.Value) {
	if v.Kind() == trefoil.Text {
		v = trefoil.TextValue(h.own(v.Text()))
	}
	if n := h.main.Len(); n == 0 || t > h.main.times[n-1] {
		h.main.Append(t, v)
		return
	}
	if h.late == nil {
		h.late = &Columns{}
	}
	h.late.Append(t, v)
	if n := h.late.Len(); n >= lateBatch && n >= h.main.Len()/8 {
		h.main, h.late = mergeLate(&h.main, h.late), nil
	}
}

// own gives a copy of s, or the text before it if that is equal: states such
// as "open" come again and again.
func (h *Head) own(s string) string {
	if n := len(h.main.texts); n > 0 && h.main.texts[n-1] == s {
		return h.main.texts[n-1]
	}
	return strings.Clone(s)
}

// Len gives the number of readings that the head holds, replaced ones
// included until they are merged.
func (h *Head) Len() int {
	if h.late == nil {
		return h.main.Len()
	}
	return h.main.Len() + h.late.Len()
}

// CutBefore removes the readings before t.
func (h *Head) CutBefore(t trefoil.Instant) {
	s := h.Snapshot()
	c := s.Columns()
	rest := c.Slice(c.Search(t), c.Len())
	h.main, h.late = rest.clone(), nil
}

// Clear removes all readings.
func (h *Head) Clear() { h.main, h.late = Columns{}, nil }

// Snapshot gives the readings as they are now, at little cost.
func (h *Head) Snapshot() Snapshot {
	s := Snapshot{main: h.main}
	if h.late != nil {
		s.late = *h.late
	}
	return s
}

// Snapshot is an unchanging view of a [Head].
type Snapshot struct{ main, late Columns }

// Columns gives the readings sorted by time, no time twice. The caller must
// not append to them.
func (s *Snapshot) Columns() Columns {
	if s.late.Len() == 0 {
		return s.main
	}
	return mergeLate(&s.main, &s.late)
}

func mergeLate(main, late *Columns) Columns {
	l := late.sorted()
	return Merge(main, &l)
}
