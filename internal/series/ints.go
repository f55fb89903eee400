package series

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// appendTimes writes the times divided by their unit, the largest step of
// which all differences are multiples: a sensor that counts in milliseconds
// should not pay for microseconds.
func (w *work) appendTimes(b []byte, times []trefoil.Instant) []byte {
	if len(times) == 0 {
		return b
	}
	unit := int64(0)
	for i := 1; i < len(times) && unit != 1; i++ {
		unit = gcd(int64(times[i]-times[i-1]), unit)
	}
	unit = max(unit, 1)
	w.ints = w.ints[:0]
	for _, t := range times {
		w.ints = append(w.ints, int64(t-times[0])/unit)
	}
	b = binary.AppendVarint(b, int64(times[0]))
	b = binary.AppendUvarint(b, uint64(unit))
	return w.appendInts(b, w.ints)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// maxExponent is the largest number of decimal places that is tried. Powers
// of ten up to it are exact as float64.
const maxExponent = 12

// numbersRaw marks numbers that are not decimals of few places.
const numbersRaw = 255

// appendNumbers writes numbers as whole multiples of 10^-e with the smallest
// e that gives every one of them back exactly, or else as the eight bytes of
// each, byte by byte, so that equal exponents stand together.
func (w *work) appendNumbers(b []byte, nums []float64) []byte {
	if len(nums) == 0 {
		return b
	}
	w.ints = slices.Grow(w.ints[:0], len(nums))[:len(nums)]
	for e := range maxExponent + 1 {
		if scale(w.ints, nums, math.Pow10(e)) {
			return w.appendInts(append(b, byte(e)), w.ints)
		}
	}
	b = append(b, numbersRaw)
	for shift := 0; shift < 64; shift += 8 {
		for _, v := range nums {
			b = append(b, byte(math.Float64bits(v)>>shift))
		}
	}
	return b
}

// scale sets out to nums multiplied by power and reports whether dividing
// gives them back bit by bit.
func scale(out []int64, nums []float64, power float64) bool {
	for i, v := range nums {
		n := math.Round(v * power)
		if math.Abs(n) > 1<<53 || n/power != v || n == 0 && math.Signbit(v) {
			return false
		}
		out[i] = int64(n)
	}
	return true
}

// appendInts writes whole numbers as what is left of them after a straight
// line, or the differences of that, or the differences of those, whichever
// come out smallest:
//
//	slope of the line, order of the differences, their base,
//	the first number of each order, then the rest less the base, zigzag, in
//	planes: the lowest byte of each, then the next byte of each, and so on
//
// Times that jitter around a cadence are best as order 0, times that drift or
// have gaps as order 1 or 2 (the known delta of deltas), values as 0 or 1.
// Numbers may wrap around on the way; they wrap back when they are read.
func (w *work) appendInts(b []byte, ints []int64) []byte {
	order, cost := 0, math.MaxInt
	var base int64
	slope := meanStep(ints)
	r := append(w.residuals[:0], ints...)
	for i := range r {
		r[i] -= slope * int64(i)
	}
	for o := 0; o <= 2 && o <= len(ints); o++ {
		if o > 0 {
			difference(r[o-1:])
		}
		m := typical(r[o:])
		if c := bitsOf(r[o:], m); c < cost {
			order, base, cost = o, m, c
			w.best = append(w.best[:0], r...)
		}
	}
	w.residuals = r
	b = binary.AppendVarint(b, slope)
	b = append(b, byte(order))
	b = binary.AppendVarint(b, base)
	for _, v := range w.best[:order] {
		b = binary.AppendVarint(b, v)
	}
	return appendPlanes(b, w.best[order:], base)
}

// meanStep gives the mean difference of neighbours. A gap spoils it, and then
// the differences, which do not depend on it, come out smaller.
func meanStep(ints []int64) int64 {
	n := int64(len(ints) - 1)
	if n < 1 {
		return 0
	}
	rise := ints[n] - ints[0]
	if rise < 0 {
		return (rise - n/2) / n
	}
	return (rise + n/2) / n
}

// difference replaces each number but the first by its distance to the one
// before.
func difference(r []int64) {
	for i := len(r) - 1; i > 0; i-- {
		r[i] -= r[i-1]
	}
}

// typical gives the median of a few numbers out of r.
func typical(r []int64) int64 {
	if len(r) == 0 {
		return 0
	}
	var few [31]int64
	step := len(r)/len(few) + 1
	n := 0
	for i := 0; i < len(r) && n < len(few); i += step {
		few[n] = r[i]
		n++
	}
	slices.Sort(few[:n])
	return few[n/2]
}

// bitsOf estimates what the numbers take.
func bitsOf(r []int64, base int64) int {
	n := 0
	for _, v := range r {
		n += bits.Len64(zigzag(v - base))
	}
	return n
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendPlanes(b []byte, r []int64, base int64) []byte {
	var all uint64
	for _, v := range r {
		all |= zigzag(v - base)
	}
	planes := (bits.Len64(all) + 7) / 8
	b = append(b, byte(planes))
	for p := range planes {
		for _, v := range r {
			b = append(b, byte(zigzag(v-base)>>(8*p)))
		}
	}
	return b
}
