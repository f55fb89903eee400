package postgres

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/trefoil-iot/trefoil"
)

// array is a one-dimensional array in PostgreSQL's binary form, written into
// memory that is used again: number of dimensions, whether there are nulls,
// the element's type, length, lower bound; then each element with its length
// in front. All numbers are big endian.
type array struct{ buf []byte }

const arrayHeader = 20

func (a *array) reset(elementOID uint32) {
	a.buf = append(a.buf[:0], make([]byte, arrayHeader)...)
	binary.BigEndian.PutUint32(a.buf, 1)
	binary.BigEndian.PutUint32(a.buf[4:], 1)
	binary.BigEndian.PutUint32(a.buf[8:], elementOID)
	binary.BigEndian.PutUint32(a.buf[16:], 1)
}

// encoded gives the bytes of n elements, valid until reset.
func (a *array) encoded(n int) []byte {
	binary.BigEndian.PutUint32(a.buf[12:], uint32(n))
	return a.buf
}

func (a *array) null() { a.buf = binary.BigEndian.AppendUint32(a.buf, math.MaxUint32) }

func (a *array) int64(v int64) {
	a.buf = binary.BigEndian.AppendUint32(a.buf, 8)
	a.buf = binary.BigEndian.AppendUint64(a.buf, uint64(v))
}

func (a *array) time(t trefoil.Instant) { a.int64(int64(t - epoch)) }

func (a *array) float(v float64) { a.int64(int64(math.Float64bits(v))) }

func (a *array) bool(v bool) {
	a.buf = binary.BigEndian.AppendUint32(a.buf, 1)
	if v {
		a.buf = append(a.buf, 1)
	} else {
		a.buf = append(a.buf, 0)
	}
}

func (a *array) string(v string) {
	a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(v)))
	a.buf = append(a.buf, v...)
}

// epoch is where PostgreSQL counts microseconds from: 2000-01-01 UTC.
const epoch = trefoil.Instant(946_684_800_000_000)

// Times that can be stored, the same as in the other engine.
var (
	minTime = trefoil.InstantOf(time.Date(1100, 1, 1, 0, 0, 0, 0, time.UTC))
	maxTime = trefoil.InstantOf(time.Date(2900, 1, 1, 0, 0, 0, 0, time.UTC))
)

// columns are rows of readings as arrays, one per column of the table.
type columns struct {
	n                   int
	series, times       array
	value               array
	boolean, text, raws array
	values              [6][]byte
}

func (c *columns) reset() {
	c.n = 0
	c.series.reset(pgtype.Int8OID)
	c.times.reset(pgtype.TimestamptzOID)
	c.value.reset(pgtype.Float8OID)
	c.boolean.reset(pgtype.BoolOID)
	c.text.reset(pgtype.TextOID)
	c.raws.reset(pgtype.ByteaOID)
}

// addNumber adds a number; its row has three columns.
func (c *columns) addNumber(r *row) {
	c.n++
	c.series.int64(r.series.id)
	c.times.time(r.time)
	c.value.float(r.value.Float())
}

// addAny adds a reading of any kind; its row has six columns.
func (c *columns) addAny(r *row) {
	c.n++
	c.series.int64(r.series.id)
	c.times.time(r.time)
	if r.value.Kind() == trefoil.Text {
		c.value.null()
	} else {
		c.value.float(r.value.Float())
	}
	if r.value.Kind() == trefoil.Boolean {
		c.boolean.bool(r.value.Bool())
	} else {
		c.boolean.null()
	}
	c.addText(r.value)
}

func (c *columns) addText(v trefoil.Value) {
	if v.Kind() != trefoil.Text {
		c.text.null()
		c.raws.null()
		return
	}
	readable := storable(v.Text())
	c.text.string(readable)
	if readable == v.Text() {
		c.raws.null()
	} else {
		c.raws.string(v.Text())
	}
}

// numbers gives the parameters of rows that addNumber added.
func (c *columns) numbers() [][]byte { return c.all()[:3] }

// all gives the parameters of rows that addAny added.
func (c *columns) all() [][]byte {
	for i, a := range []*array{&c.series, &c.times, &c.value, &c.boolean, &c.text, &c.raws} {
		c.values[i] = a.encoded(c.n)
	}
	return c.values[:]
}
