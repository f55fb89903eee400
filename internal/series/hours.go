package series

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Hour is what is kept of the readings of one UTC hour when they themselves
// are not kept any more.
type Hour struct {
	Summary
	FirstTime, LastTime trefoil.Instant // of the first and the last reading
}

// packedHours is the version byte of a chunk that holds summaries of hours: a
// number, and for each hour first and last time, as differences to the last
// time before, and its summary; all that under zstd, and a CRC-32C.
const packedHours = 3

const hour = trefoil.Instant(time.Hour / time.Microsecond)

// Packed reports whether a chunk has summaries of hours instead of readings.
func Packed(chunk []byte) bool { return len(chunk) > 0 && chunk[0] == packedHours }

// PackHours appends the summaries of the hours of cols, which must be sorted
// by time, to dst. It is for the goroutine of Encode.
func (c *Codec) PackHours(dst []byte, cols *Columns) []byte {
	var hours []Hour
	for i := 0; i < cols.Len(); {
		t := cols.Time(i)
		end := cols.Search(t - (t%hour+hour)%hour + hour)
		part := cols.Slice(i, end)
		hours = append(hours, Hour{part.Summarize(), t, part.Time(part.Len() - 1)})
		i = end
	}
	c.raw = binary.AppendUvarint(c.raw[:0], uint64(len(hours)))
	var last trefoil.Instant
	for _, h := range hours {
		c.raw = binary.AppendVarint(c.raw, int64(h.FirstTime-last))
		c.raw = binary.AppendUvarint(c.raw, uint64(h.LastTime-h.FirstTime))
		sum := h.Summary.Append(nil)
		c.raw = binary.AppendUvarint(c.raw, uint64(len(sum)))
		c.raw = append(c.raw, sum...)
		last = h.LastTime
	}
	start := len(dst)
	dst = c.encoder.EncodeAll(c.raw, append(dst, packedHours))
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crc32.MakeTable(crc32.Castagnoli)))
}

// UnpackHours reads what PackHours wrote, ascending.
func (c *Codec) UnpackHours(chunk []byte) ([]Hour, error) {
	n := len(chunk) - 4
	if n < 1 || !Packed(chunk) || crc32.Checksum(chunk[:n], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(chunk[n:]) {
		return nil, fmt.Errorf("%w: summaries of hours", ErrDamaged)
	}
	raw, err := c.decoder.DecodeAll(chunk[1:n], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: summaries of hours: %w", ErrDamaged, err)
	}
	d := decoder{rest: raw}
	count := d.count(MaxChunk)
	hours := make([]Hour, 0, min(count, 1024))
	var last trefoil.Instant
	for range count {
		first := last + trefoil.Instant(d.varint())
		last = first + trefoil.Instant(d.count(int(hour)))
		sum, err := ReadSummary(d.take(d.count(len(d.rest))))
		if err != nil || d.bad {
			return nil, fmt.Errorf("%w: summaries of hours", ErrDamaged)
		}
		hours = append(hours, Hour{sum, first, last})
	}
	return hours, nil
}
