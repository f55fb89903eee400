// Package series holds the readings of one series: as columns in memory, as
// the head that grows while readings arrive, and as compressed chunks. It
// knows nothing of databases. DESIGN.md says why it is made this way.
package series

import (
	"math"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// Columns are readings of one series, column by column: 16 bytes for a
// number. The zero Columns is empty and ready to use.
//
// An element that was appended is never changed, so a copy of the struct is a
// snapshot that stays as it is while readings are appended to the original.
type Columns struct {
	times []trefoil.Instant
	nums  []float64      // Value.Float of each
	kinds []trefoil.Kind // nil while all are numbers
	texts []string       // nil while none is a text
}

// Len gives the number of readings.
func (c *Columns) Len() int { return len(c.times) }

// Time gives the time of reading i.
func (c *Columns) Time(i int) trefoil.Instant { return c.times[i] }

// Value gives the value of reading i.
func (c *Columns) Value(i int) trefoil.Value {
	switch c.kind(i) {
	case trefoil.Boolean:
		return trefoil.BooleanValue(c.nums[i] != 0)
	case trefoil.Text:
		return trefoil.TextValue(c.texts[i])
	default:
		return trefoil.NumberValue(c.nums[i])
	}
}

func (c *Columns) kind(i int) trefoil.Kind {
	if c.kinds == nil {
		return trefoil.Number
	}
	return c.kinds[i]
}

// Append adds a reading at the end, whatever its time.
func (c *Columns) Append(t trefoil.Instant, v trefoil.Value) {
	if v.Kind() != trefoil.Number || c.kinds != nil {
		c.appendKind(v)
	}
	if len(c.times) == cap(c.times) {
		c.times, c.nums = grow(c.times), grow(c.nums)
	}
	c.times = append(c.times, t)
	c.nums = append(c.nums, v.Float())
}

// grow makes room for half as much again. The append of Go would double short
// slices, and heads are many and short, so that too much of them would be empty.
func grow[T any](s []T) []T {
	out := make([]T, len(s), len(s)+len(s)/2+4)
	copy(out, s)
	return out
}

// appendKind adds what a plain number does not need.
func (c *Columns) appendKind(v trefoil.Value) {
	n := len(c.times)
	if c.kinds == nil {
		c.kinds = make([]trefoil.Kind, n, n+8)
		for i := range c.kinds {
			c.kinds[i] = trefoil.Number
		}
	}
	c.kinds = append(c.kinds, v.Kind())
	if v.Kind() == trefoil.Text && c.texts == nil {
		c.texts = make([]string, n, n+8)
	}
	if c.texts != nil {
		c.texts = append(c.texts, v.Text())
	}
}

// appendFrom adds reading i of o.
func (c *Columns) appendFrom(o *Columns, i int) {
	if o.kinds == nil && c.kinds == nil {
		c.times = append(c.times, o.times[i])
		c.nums = append(c.nums, o.nums[i])
		return
	}
	c.Append(o.times[i], o.Value(i))
}

// Slice gives readings i to j without copying them.
func (c *Columns) Slice(i, j int) Columns {
	s := Columns{times: c.times[i:j:j], nums: c.nums[i:j:j]}
	if c.kinds != nil {
		s.kinds = c.kinds[i:j:j]
	}
	if c.texts != nil {
		s.texts = c.texts[i:j:j]
	}
	return s
}

// Search gives the index of the first reading at or after t. The columns must
// be sorted by time.
func (c *Columns) Search(t trefoil.Instant) int {
	i, _ := slices.BinarySearch(c.times, t)
	return i
}

// Range gives the readings of the half-open range [from, to) without copying
// them. The columns must be sorted by time.
func (c *Columns) Range(from, to trefoil.Instant) Columns {
	if from >= to {
		return Columns{}
	}
	return c.Slice(c.Search(from), c.Search(to))
}

// clone copies c with no room to spare.
func (c *Columns) clone() Columns {
	return Columns{
		times: slices.Clone(c.times),
		nums:  slices.Clone(c.nums),
		kinds: slices.Clone(c.kinds),
		texts: slices.Clone(c.texts),
	}
}

// Merge gives the readings of two columns that are each sorted by time with
// no time twice. Where both have the same time, the one of newer stays.
func Merge(older, newer *Columns) Columns {
	switch {
	case older.Len() == 0:
		return *newer
	case newer.Len() == 0:
		return *older
	}
	n := older.Len() + newer.Len()
	out := Columns{times: make([]trefoil.Instant, 0, n), nums: make([]float64, 0, n)}
	i, j := 0, 0
	for i < older.Len() && j < newer.Len() {
		if older.times[i] < newer.times[j] {
			out.appendFrom(older, i)
			i++
			continue
		}
		if older.times[i] == newer.times[j] {
			i++
		}
		out.appendFrom(newer, j)
		j++
	}
	out.appendAll(older, i)
	out.appendAll(newer, j)
	return out
}

// appendAll adds the readings of o from i on.
func (c *Columns) appendAll(o *Columns, i int) {
	if o.kinds == nil && c.kinds == nil {
		c.times = append(c.times, o.times[i:]...)
		c.nums = append(c.nums, o.nums[i:]...)
		return
	}
	for ; i < o.Len(); i++ {
		c.appendFrom(o, i)
	}
}

// sorted gives the readings of c, which are in order of arrival, in order of
// time; of several with the same time the last one stays.
func (c *Columns) sorted() Columns {
	order := make([]int32, c.Len())
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch ta, tb := c.times[a], c.times[b]; {
		case ta < tb:
			return -1
		case ta > tb:
			return 1
		default:
			return 0
		}
	})
	var out Columns
	for k, i := range order {
		if k+1 < len(order) && c.times[order[k+1]] == c.times[i] {
			continue
		}
		out.appendFrom(c, int(i))
	}
	return out
}

// Summary is what a query over a long range needs of a run of readings. Min,
// Max and Sum are over Value.Float; they are 0 where there is no reading.
type Summary struct {
	Count         int
	Min, Max, Sum float64
	First, Last   trefoil.Value
}

// Summarize computes the summary of c, which must be sorted by time.
func (c *Columns) Summarize() Summary {
	n := c.Len()
	if n == 0 {
		return Summary{}
	}
	s := Summary{Count: n, Min: math.Inf(1), Max: math.Inf(-1), First: c.Value(0), Last: c.Value(n - 1)}
	for _, v := range c.nums {
		s.Min = min(s.Min, v)
		s.Max = max(s.Max, v)
		s.Sum += v
	}
	return s
}
