package postgres

import (
	"encoding/binary"
	"math"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// What PostgreSQL sends in binary form: numbers of eight bytes, big endian.

func readInt(b []byte) int64 {
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func readTime(b []byte) trefoil.Instant { return trefoil.Instant(readInt(b)) + epoch }

func readFloat(b []byte) float64 { return math.Float64frombits(uint64(readInt(b))) }

// readValue reads the columns value, boolean, text and bytes.
func readValue(row [][]byte) trefoil.Value {
	switch {
	case row[1] != nil:
		return trefoil.BooleanValue(row[1][0] != 0)
	case row[3] != nil:
		return trefoil.TextValue(string(row[3]))
	case row[2] != nil:
		return trefoil.TextValue(string(row[2]))
	default:
		return trefoil.NumberValue(readFloat(row[0]))
	}
}

// addSample makes b one reading longer.
func addSample(b *store.Block, x store.Sample) {
	v := x.Value.Float()
	if b.Count == 0 {
		*b = store.Block{Min: v, Max: v, First: x, Samples: b.Samples[:0]}
	}
	b.Count++
	b.Min, b.Max, b.Sum = min(b.Min, v), max(b.Max, v), b.Sum+v
	b.Last = x
	b.Samples = append(b.Samples, x)
}
