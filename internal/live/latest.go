package live

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// latest is the newest reading of every series of some devices. Of two
// readings with the same time the later applied one wins, as in the store.
type latest map[trefoil.DeviceID][]reading // sorted by key

// reading is one entry of [latest]; its field may belong to a row.
type reading struct {
	field
	time     trefoil.Instant
	received trefoil.Instant // 0 if it came from the store
	stored   trefoil.Instant
}

func byKey(a, b reading) int { return bytes.Compare(a.key(), b.key()) }

// load puts what the store says about a device in the place of what is known.
func (l latest) load(device trefoil.DeviceID, stored []trefoil.Reading, f *filter) {
	size := 0
	for _, x := range stored {
		size += len(x.Metric) + len(x.Value.Text()) + 28
	}
	text := make([]byte, 0, size)
	list := make([]reading, 0, len(stored))
	for _, x := range stored {
		start := len(text)
		text = trefoil.TextValue(x.Metric).AppendJSON(text)
		if !f.wants(text[start:]) {
			text = text[:start]
			continue
		}
		text = append(text, ':')
		value := len(text) - start
		text = x.Value.AppendJSON(text)
		list = append(list, reading{field: field{text: text[start:len(text):len(text)], value: value}, time: x.Time})
	}
	slices.SortFunc(list, byKey)
	if len(list) > 0 {
		l[device] = list
	} else {
		delete(l, device)
	}
}

// apply takes in an entry of the ring that came after everything in l.
func (l latest) apply(r *row) {
	if r.kind == isRemoval {
		delete(l, r.device)
	}
	if r.kind != isReadings {
		return
	}
	list := l[r.device]
	r.fields(func(f field) bool {
		x := reading{field: f, time: r.time, received: r.received, stored: r.stored}
		i, found := slices.BinarySearchFunc(list, x, byKey)
		switch {
		case !found:
			list = slices.Insert(list, i, x)
		case list[i].time <= x.time:
			list[i] = x
		}
		return true
	})
	l[r.device] = list
}

// subtract forgets readings which r replaces or repeats: same series and
// time. It is for readings that are sent beside a stream in which r is.
func (l latest) subtract(r *row) {
	if r.kind == isRemoval {
		delete(l, r.device)
	}
	if r.kind != isReadings {
		return
	}
	r.fields(func(f field) bool {
		list := l[r.device]
		i, found := slices.BinarySearchFunc(list, reading{field: f}, byKey)
		if found && list[i].time == r.time {
			l[r.device] = slices.Delete(list, i, i+1)
		}
		return true
	})
}

// rows encodes l, sorted by device and time.
func (l latest) rows(seq trefoil.Seq) []*row {
	rows := make([]*row, 0, len(l))
	for _, device := range slices.Sorted(maps.Keys(l)) {
		list := l[device]
		slices.SortStableFunc(list, func(a, b reading) int { return cmp.Compare(a.time, b.time) })
		for len(list) > 0 {
			n := 1
			for n < len(list) && list[n].time == list[0].time {
				n++
			}
			rows = append(rows, joined(seq, device, list[:n]))
			list = list[n:]
		}
	}
	return rows
}

// joined makes one row of readings with the same time.
func joined(seq trefoil.Seq, device trefoil.DeviceID, list []reading) *row {
	r := &row{seq: seq, device: device, time: list[0].time, readings: len(list)}
	size := 64 + len(device)
	for _, x := range list {
		size += len(x.text) + 1
	}
	b := openRow(make([]byte, 0, size), device, r.time)
	r.values = len(b)
	for i, x := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, x.text...)
		r.received = earlier(r.received, x.received)
		r.stored = earlier(r.stored, x.stored)
	}
	r.json = append(b, '}', '}')
	return r
}

// earlier gives the smaller of two times; 0 is no time.
func earlier(a, b trefoil.Instant) trefoil.Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
