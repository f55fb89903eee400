package series

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/trefoil-iot/trefoil"
)

// Append writes s as its count, min, max, sum, and kind and value of the
// first and the last reading.
func (s Summary) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.Count))
	for _, v := range []float64{s.Min, s.Max, s.Sum} {
		b = appendFloat(b, v)
	}
	return appendValue(appendValue(b, s.First), s.Last)
}

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendValue(b []byte, v trefoil.Value) []byte {
	b = append(b, byte(v.Kind()))
	if v.Kind() == trefoil.Text {
		b = binary.AppendUvarint(b, uint64(len(v.Text())))
		return append(b, v.Text()...)
	}
	return appendFloat(b, v.Float())
}

// ReadSummary reads what Append wrote.
func ReadSummary(data []byte) (Summary, error) {
	d := decoder{rest: data}
	s := Summary{Count: d.count(MaxChunk), Min: d.float(), Max: d.float(), Sum: d.float(), First: d.value(), Last: d.value()}
	if d.bad || len(d.rest) > 0 {
		return Summary{}, fmt.Errorf("%w: summary of %d bytes", ErrDamaged, len(data))
	}
	return s, nil
}

func (d *decoder) float() float64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

func (d *decoder) value() trefoil.Value {
	switch trefoil.Kind(d.byte()) {
	case trefoil.Number:
		return trefoil.NumberValue(d.float())
	case trefoil.Boolean:
		return trefoil.BooleanValue(d.float() != 0)
	case trefoil.Text:
		return trefoil.TextValue(string(d.take(d.count(trefoil.MaxText))))
	default:
		d.bad = true
		return trefoil.Value{}
	}
}
