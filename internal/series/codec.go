package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"

	"github.com/trefoil-iot/trefoil"
)

// ErrDamaged is wrapped by the errors of data that no codec wrote.
var ErrDamaged = errors.New("damaged chunk")

// MaxChunk is the largest number of readings that a chunk can have.
const MaxChunk = 1 << 20

// A chunk is a version byte that says how the content is packed, the content,
// and a CRC-32C of both. The content is
//
//	uvarint  number of readings
//	ints     times, divided by their unit, see appendTimes
//	kinds    one byte for all, or 0 and one byte for each
//	numbers  see appendNumbers; the numbers among the readings
//	booleans one byte each
//	texts    each different one once, then ints of their places in that list
const (
	packedNot  = 1
	packedZstd = 2
)

// Codec turns columns into chunks and back. Encode is for one goroutine at a
// time, Decode for any number.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	raw     []byte
	work    work
}

// work is memory that one Encode leaves to the next.
type work struct {
	ints, residuals, best []int64
	numbers               []float64
}

// maxContent bounds what a chunk may unpack to: every reading a text of the
// largest size is not meant to be one chunk.
const maxContent = 256 << 20

// NewCodec makes a codec. Close ends it.
func NewCodec() (*Codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithAllLitEntropyCompression(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<18))
	if err != nil {
		return nil, fmt.Errorf("make the zstd encoder: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxContent))
	if err != nil {
		return nil, fmt.Errorf("make the zstd decoder: %w", err)
	}
	return &Codec{encoder: encoder, decoder: decoder}, nil
}

// Close frees what the codec holds.
func (c *Codec) Close() {
	c.encoder.Close()
	c.decoder.Close()
}

// Encode appends the chunk of cols, which must be sorted by time, to dst.
func (c *Codec) Encode(dst []byte, cols *Columns) []byte {
	c.raw = c.appendContent(c.raw[:0], cols)
	start := len(dst)
	dst = c.encoder.EncodeAll(c.raw, append(dst, packedZstd))
	if len(dst)-start > len(c.raw) {
		dst = append(append(dst[:start], packedNot), c.raw...)
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crc32.MakeTable(crc32.Castagnoli)))
}

func (c *Codec) appendContent(b []byte, cols *Columns) []byte {
	b = binary.AppendUvarint(b, uint64(cols.Len()))
	b = c.work.appendTimes(b, cols.times)
	b = appendKinds(b, cols)
	numbers := cols.nums
	if cols.kinds != nil {
		numbers = c.work.pick(cols)
	}
	b = c.work.appendNumbers(b, numbers)
	for i := range cols.kinds {
		if cols.kinds[i] == trefoil.Boolean {
			b = append(b, byte(cols.nums[i]))
		}
	}
	if cols.texts != nil {
		b = c.work.appendTexts(b, cols)
	}
	return b
}

// appendKinds writes the one kind of all readings, or 0 and the kind of each.
func appendKinds(b []byte, cols *Columns) []byte {
	if cols.Len() == 0 {
		return b
	}
	first := cols.kind(0)
	for i := range cols.kinds {
		if cols.kinds[i] == first {
			continue
		}
		b = append(b, 0)
		for _, k := range cols.kinds {
			b = append(b, byte(k))
		}
		return b
	}
	return append(b, byte(first))
}

// pick gives the numbers among mixed readings.
func (w *work) pick(cols *Columns) []float64 {
	w.numbers = w.numbers[:0]
	for i, k := range cols.kinds {
		if k == trefoil.Number {
			w.numbers = append(w.numbers, cols.nums[i])
		}
	}
	return w.numbers
}

// appendTexts writes each different text once, and which one each reading
// has; nothing where no reading is a text.
func (w *work) appendTexts(b []byte, cols *Columns) []byte {
	places := map[string]int64{}
	var list []string
	w.ints = w.ints[:0]
	for i := range cols.Len() {
		if cols.kind(i) != trefoil.Text {
			continue
		}
		place, ok := places[cols.texts[i]]
		if !ok {
			place = int64(len(list))
			places[cols.texts[i]] = place
			list = append(list, cols.texts[i])
		}
		w.ints = append(w.ints, place)
	}
	if len(list) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return w.appendInts(b, w.ints)
}
