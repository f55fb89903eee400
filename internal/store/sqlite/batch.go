package sqlite

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/trefoil-iot/trefoil"
)

// A batch is the data of one row of the log: the readings of one commit in
// the order in which they were appended. After a version byte each reading is
//
//	uvarint  difference of the series' number to the one before, zigzag, ×4, plus the kind
//	varint   difference of the time to the one before
//	value    8 bytes little endian | 1 byte | uvarint length and bytes
//
// and a CRC-32C of all that stands at the end.
type batch struct {
	buf  []byte
	id   int64
	time trefoil.Instant
}

const batchVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (b *batch) reset() {
	*b = batch{buf: append(b.buf[:0], batchVersion)}
}

func (b *batch) add(id int64, t trefoil.Instant, v trefoil.Value) {
	d := id - b.id
	b.buf = binary.AppendUvarint(b.buf, (uint64(d)<<1^uint64(d>>63))<<2|uint64(v.Kind()))
	b.buf = binary.AppendVarint(b.buf, int64(t-b.time))
	b.id, b.time = id, t
	switch v.Kind() {
	case trefoil.Number:
		b.buf = binary.LittleEndian.AppendUint64(b.buf, math.Float64bits(v.Float()))
	case trefoil.Boolean:
		b.buf = append(b.buf, byte(v.Float()))
	default:
		b.buf = binary.AppendUvarint(b.buf, uint64(len(v.Text())))
		b.buf = append(b.buf, v.Text()...)
	}
}

func (b *batch) empty() bool { return len(b.buf) <= 1 }

// seal ends the batch and gives its bytes, which are valid until reset.
func (b *batch) seal() []byte {
	b.buf = binary.LittleEndian.AppendUint32(b.buf, crc32.Checksum(b.buf, castagnoli))
	return b.buf
}

// readBatch visits the readings of a batch in order.
func readBatch(data []byte, visit func(id int64, t trefoil.Instant, v trefoil.Value)) error {
	n := len(data) - 4
	if n < 1 || data[0] != batchVersion {
		return fmt.Errorf("%w: a row of the log has an unknown form", errDamaged)
	}
	if crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return fmt.Errorf("%w: the checksum of a row of the log is wrong", errDamaged)
	}
	return readReadings(data[1:n], visit)
}

// readReadings visits what was added to a batch.
func readReadings(p []byte, visit func(id int64, t trefoil.Instant, v trefoil.Value)) error {
	var id int64
	var t trefoil.Instant
	for len(p) > 0 {
		head, i := binary.Uvarint(p)
		step, j := binary.Varint(p[max(i, 0):])
		if i <= 0 || j <= 0 {
			return errShort
		}
		v, k := readValue(trefoil.Kind(head&3), p[i+j:])
		if k < 0 {
			return errShort
		}
		d := head >> 2
		id += int64(d>>1) ^ -int64(d&1)
		t += trefoil.Instant(step)
		visit(id, t, v)
		p = p[i+j+k:]
	}
	return nil
}

var errShort = fmt.Errorf("%w: a row of the log ends too early", errDamaged)

// readValue gives a value and the bytes that it takes, or -1.
func readValue(kind trefoil.Kind, p []byte) (trefoil.Value, int) {
	switch {
	case kind == trefoil.Number && len(p) >= 8:
		return trefoil.NumberValue(math.Float64frombits(binary.LittleEndian.Uint64(p))), 8
	case kind == trefoil.Boolean && len(p) >= 1:
		return trefoil.BooleanValue(p[0] != 0), 1
	case kind == trefoil.Text:
		n, i := binary.Uvarint(p)
		if i <= 0 || n > uint64(len(p)-i) {
			return trefoil.Value{}, -1
		}
		return trefoil.TextValue(string(p[i : i+int(n)])), i + int(n)
	default:
		return trefoil.Value{}, -1
	}
}
