package live

import (
	"cmp"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// kind tells the entries of the ring apart.
type kind uint8

const (
	isReadings kind = iota // a row of readings
	isChange               // the device was created or changed
	isRemoval              // the device was removed
)

// row is what all viewers share: the readings of one device at one time, in
// the form in which they are sent. It does not change once it is made.
type row struct {
	seq      trefoil.Seq
	device   trefoil.DeviceID
	kind     kind
	values   int // where the fields begin in json
	readings int
	time     trefoil.Instant
	received trefoil.Instant
	stored   trefoil.Instant
	json     []byte // {"device":"a","t":ms,"values":{"temperature":21.5,"door":"open"}}
}

// rowOverhead is what a row takes beside its JSON.
const rowOverhead = 128

func (r *row) size() int { return rowOverhead + len(r.json) }

// rowsOf encodes m: one row per time, in the order of times. Of readings with
// the same metric and time only the last is there, as in the store.
func rowsOf(seq trefoil.Seq, stored trefoil.Instant, m *trefoil.Message) []*row {
	readings := m.Readings
	byTime := func(a, b trefoil.Reading) int { return cmp.Compare(a.Time, b.Time) }
	if !slices.IsSortedFunc(readings, byTime) {
		readings = slices.Clone(readings)
		slices.SortStableFunc(readings, byTime)
	}
	var rows []*row
	for len(readings) > 0 {
		n := 1
		for n < len(readings) && readings[n].Time == readings[0].Time {
			n++
		}
		r := &row{seq: seq, device: m.Device, time: readings[0].Time, received: m.Received, stored: stored}
		r.encode(withoutRepeats(readings[:n]))
		rows = append(rows, r)
		readings = readings[n:]
	}
	return rows
}

// encode writes the JSON of r, in one piece of memory of the right size.
func (r *row) encode(readings []trefoil.Reading) {
	b := make([]byte, 0, 64+len(r.device)+28*len(readings))
	b = openRow(b, r.device, r.time)
	r.values = len(b)
	for i, x := range readings {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendField(b, x)
	}
	r.json = append(b, '}', '}')
	r.readings = len(readings)
}

func openRow(b []byte, device trefoil.DeviceID, t trefoil.Instant) []byte {
	b = append(b, `{"device":"`...)
	b = append(b, device...) // its alphabet needs no escapes
	b = append(b, `","t":`...)
	b = t.AppendMillis(b)
	return append(b, `,"values":{`...)
}

// appendField writes "metric":value.
func appendField(b []byte, x trefoil.Reading) []byte {
	b = trefoil.TextValue(x.Metric).AppendJSON(b)
	b = append(b, ':')
	return x.Value.AppendJSON(b)
}

// fewReadings is up to where comparing all with all is cheaper than a map.
const fewReadings = 16

// withoutRepeats leaves out readings that a later one of the same metric
// replaces. It gives its argument back if there are none.
func withoutRepeats(readings []trefoil.Reading) []trefoil.Reading {
	if !repeats(readings) {
		return readings
	}
	last := make(map[string]int, len(readings))
	for i, x := range readings {
		last[x.Metric] = i
	}
	kept := make([]trefoil.Reading, 0, len(last))
	for i, x := range readings {
		if last[x.Metric] == i {
			kept = append(kept, x)
		}
	}
	return kept
}

func repeats(readings []trefoil.Reading) bool {
	if len(readings) > fewReadings {
		seen := make(map[string]struct{}, len(readings))
		for _, x := range readings {
			seen[x.Metric] = struct{}{}
		}
		return len(seen) < len(readings)
	}
	for i := range readings {
		for j := range i {
			if readings[i].Metric == readings[j].Metric {
				return true
			}
		}
	}
	return false
}

// field is one "metric":value of a row, as it stands in its JSON.
type field struct {
	text  []byte // "temperature":21.5
	value int    // where the value begins in text, after the colon
}

func (f field) key() []byte { return f.text[:f.value-1] } // with its quotes

// fields visits the fields of r in order, until visit returns false. It reads
// only what appendField wrote, so it needs no complete JSON scanner.
func (r *row) fields(visit func(field) bool) {
	b := r.json[r.values : len(r.json)-1] // ends with the } of the values
	for len(b) > 1 {
		value := endOfString(b) + 1
		end := value
		if b[value] == '"' {
			end = value + endOfString(b[value:])
		} else {
			for b[end] != ',' && b[end] != '}' {
				end++
			}
		}
		if !visit(field{text: b[:end:end], value: value}) {
			return
		}
		b = b[end+1:]
	}
}

// endOfString gives the length of the JSON string with which b begins.
func endOfString(b []byte) int {
	i := 1
	for b[i] != '"' {
		if b[i] == '\\' {
			i++
		}
		i++
	}
	return i + 1
}
