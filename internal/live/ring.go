package live

import (
	"sort"

	"github.com/trefoil-iot/trefoil"
)

// ring holds the last entries that anybody watched, oldest first, up to a
// number of bytes. Entries are counted from the start of the hub; the place
// of an entry is its number and never changes. The zero ring with a limit is
// ready for use.
type ring struct {
	limit   int
	rows    []*row // circular; len is the capacity
	first   uint64 // place of the oldest entry
	n       int
	bytes   int
	evicted trefoil.Seq // newest commit of which an entry is gone
}

// end is the place of the next entry.
func (r *ring) end() uint64 { return r.first + uint64(r.n) }

// at gives the entry at a place between first and end.
func (r *ring) at(place uint64) *row {
	return r.rows[place%uint64(len(r.rows))]
}

// push appends an entry, and drops the oldest ones above the limit.
func (r *ring) push(x *row) {
	if r.n == len(r.rows) {
		r.grow()
	}
	r.rows[r.end()%uint64(len(r.rows))] = x
	r.n++
	r.bytes += x.size()
	for r.bytes > r.limit && r.n > 0 {
		r.drop()
	}
}

func (r *ring) drop() {
	i := r.first % uint64(len(r.rows))
	r.bytes -= r.rows[i].size()
	r.evicted = r.rows[i].seq
	r.rows[i] = nil
	r.first++
	r.n--
}

func (r *ring) grow() {
	rows := make([]*row, max(64, 2*len(r.rows)))
	for p := r.first; p < r.end(); p++ {
		rows[p%uint64(len(rows))] = r.at(p)
	}
	r.rows = rows
}

// after gives the place of the first entry above seq.
func (r *ring) after(seq trefoil.Seq) uint64 {
	return r.first + uint64(sort.Search(r.n, func(i int) bool {
		return r.at(r.first+uint64(i)).seq > seq
	}))
}

// clear drops everything and its memory.
func (r *ring) clear() {
	for r.n > 0 {
		r.drop()
	}
	r.rows = nil
}
