package series

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/trefoil-iot/trefoil"
)

// Decode gives the columns of a chunk. Data that no Encode wrote gives an
// error that wraps [ErrDamaged].
func (c *Codec) Decode(data []byte) (Columns, error) {
	n := len(data) - 4
	if n < 1 {
		return Columns{}, fmt.Errorf("%w: %d bytes", ErrDamaged, len(data))
	}
	if crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(data[n:]) {
		return Columns{}, fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	content := data[1:n]
	switch data[0] {
	case packedNot:
	case packedZstd:
		var err error
		if content, err = c.decoder.DecodeAll(content, nil); err != nil {
			return Columns{}, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	default:
		return Columns{}, fmt.Errorf("%w: unknown form %d", ErrDamaged, data[0])
	}
	d := decoder{rest: content}
	cols := d.columns()
	if d.bad || len(d.rest) > 0 {
		return Columns{}, fmt.Errorf("%w: the content contradicts itself", ErrDamaged)
	}
	return cols, nil
}

// decoder reads content from the front. After a fault, bad is set and
// everything it gives is zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) columns() Columns {
	n := d.count(MaxChunk)
	if n == 0 {
		return Columns{}
	}
	c := Columns{times: d.times(n)}
	numbers, booleans, texts := n, 0, 0
	switch k := trefoil.Kind(d.byte()); k {
	case trefoil.Number:
	case 0, trefoil.Boolean, trefoil.Text:
		c.kinds = d.kinds(n, k)
		numbers, booleans, texts = tally(c.kinds)
	default:
		d.bad = true
	}
	nums := d.numbers(numbers)
	flags := d.take(booleans)
	var words []string
	if texts > 0 {
		words = d.texts(texts)
	}
	if d.bad {
		return Columns{}
	}
	c.nums = nums
	if c.kinds != nil {
		c.spread(nums, flags, words)
	}
	return c
}

// spread puts the values of each kind where they belong.
func (c *Columns) spread(nums []float64, flags []byte, words []string) {
	c.nums = make([]float64, len(c.kinds))
	if len(words) > 0 {
		c.texts = make([]string, len(c.kinds))
	}
	for i, k := range c.kinds {
		switch k {
		case trefoil.Boolean:
			c.nums[i], flags = float64(flags[0]), flags[1:]
		case trefoil.Text:
			c.texts[i], words = words[0], words[1:]
		default:
			c.nums[i], nums = nums[0], nums[1:]
		}
	}
}

func tally(kinds []trefoil.Kind) (numbers, booleans, texts int) {
	for _, k := range kinds {
		switch k {
		case trefoil.Boolean:
			booleans++
		case trefoil.Text:
			texts++
		default:
			numbers++
		}
	}
	return numbers, booleans, texts
}

func (d *decoder) kinds(n int, all trefoil.Kind) []trefoil.Kind {
	out := make([]trefoil.Kind, n)
	if all != 0 {
		for i := range out {
			out[i] = all
		}
		return out
	}
	for i, b := range d.take(n) {
		out[i] = trefoil.Kind(b)
		if b < byte(trefoil.Number) || b > byte(trefoil.Text) {
			d.bad = true
		}
	}
	return out
}

func (d *decoder) times(n int) []trefoil.Instant {
	first, unit := d.varint(), d.count(math.MaxInt)
	ints := d.ints(n)
	out := make([]trefoil.Instant, len(ints))
	for i, v := range ints {
		out[i] = trefoil.Instant(first + v*int64(unit))
	}
	return out
}

func (d *decoder) numbers(n int) []float64 {
	if n == 0 {
		return nil
	}
	out := make([]float64, n)
	form := d.byte()
	switch {
	case form == numbersRaw:
		planes := d.take(8 * n)
		for i := range out {
			var u uint64
			for p := 0; p < 8 && !d.bad; p++ {
				u |= uint64(planes[p*n+i]) << (8 * p)
			}
			out[i] = math.Float64frombits(u)
		}
	case form <= maxExponent:
		power := math.Pow10(int(form))
		for i, v := range d.ints(n) {
			out[i] = float64(v) / power
		}
	default:
		d.bad = true
	}
	return out
}

func (d *decoder) texts(n int) []string {
	list := make([]string, d.count(n))
	for i := range list {
		list[i] = string(d.take(d.count(trefoil.MaxText)))
	}
	out := make([]string, n)
	for i, place := range d.ints(n) {
		if place < 0 || place >= int64(len(list)) {
			d.bad = true
			return nil
		}
		out[i] = list[place]
	}
	return out
}

// ints reads n numbers that appendInts wrote; none after a fault.
func (d *decoder) ints(n int) []int64 {
	slope, order, base := d.varint(), int(d.byte()), d.varint()
	if order > 2 || order > n {
		d.bad = true
		return nil
	}
	var first [2]int64
	for i := range order {
		first[i] = d.varint()
	}
	count := int(d.byte())
	if count > 8 {
		d.bad = true
	}
	m := n - order
	planes := d.take(count * m)
	if d.bad {
		return nil
	}
	out := make([]int64, n)
	copy(out, first[:order])
	for i := range m {
		var u uint64
		for p := range count {
			u |= uint64(planes[p*m+i]) << (8 * p)
		}
		out[order+i] = unzigzag(u) + base
	}
	for o := order; o > 0; o-- {
		accumulate(out[o-1:])
	}
	for i := range out {
		out[i] += slope * int64(i)
	}
	return out
}

// accumulate undoes difference.
func accumulate(r []int64) {
	for i := 1; i < len(r); i++ {
		r[i] += r[i-1]
	}
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.rest) {
		d.bad = true
		return nil
	}
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.take(n)
	if n <= 0 {
		d.bad = true
	}
	return v
}

// count reads an unsigned number that is at most limit.
func (d *decoder) count(limit int) int {
	v, n := binary.Uvarint(d.rest)
	d.take(n)
	if n <= 0 || v > uint64(limit) {
		d.bad = true
		return 0
	}
	return int(v)
}
