package table

import (
	"io"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

// rowBytes is about the length of a row of text.
const rowBytes = 128

// csvWriter writes RFC 4180 with a line of names first.
type csvWriter struct {
	w      io.Writer
	shape  Shape
	header bool // is written
	buf    []byte
}

func newCSV(w io.Writer, shape Shape) *csvWriter { return &csvWriter{w: w, shape: shape} }

func (c *csvWriter) Append(s history.Series, unit string) error {
	c.buf = grown(c.buf, rowBytes*(len(s.T)+1))
	c.head()
	labels := []byte{','}
	labels = appendCell(labels, owner(s, c.shape))
	labels = appendCell(append(labels, ','), s.Metric)
	labels = appendCell(append(labels, ','), unit)
	for i, t := range s.T {
		c.buf = stamp(c.buf, t)
		c.buf = t.AppendMillis(append(c.buf, ','))
		c.buf = append(c.buf, labels...)
		if s.V != nil {
			c.buf = appendValue(append(c.buf, ','), s.V[i])
			c.buf = append(append(c.buf, ','), kindOf(s.V[i])...)
		}
		for _, col := range s.Columns {
			c.buf = append(c.buf, ',')
			if col.States != nil {
				c.buf = appendCell(c.buf, string(AppendStates(nil, col.States[i])))
				continue
			}
			c.buf = appendValue(c.buf, col.V[i])
		}
		c.buf = append(c.buf, '\r', '\n')
	}
	_, err := c.w.Write(c.buf)
	return err
}

func (c *csvWriter) head() {
	if c.header {
		return
	}
	c.header = true
	names := []string{"time", "ms", c.shape.owner(), "metric", "unit"}
	if len(c.shape.Aggregates) == 0 {
		names = append(names, "value", "kind")
	}
	for _, a := range c.shape.Aggregates {
		names = append(names, string(a))
	}
	c.buf = append(c.buf, strings.Join(names, ",")...)
	c.buf = append(c.buf, '\r', '\n')
}

func (c *csvWriter) Close() error {
	c.buf = c.buf[:0]
	c.head()
	_, err := c.w.Write(c.buf)
	return err
}

// appendValue writes a number or a boolean as in JSON, a text as a cell, and
// nothing for no value.
func appendValue(b []byte, v trefoil.Value) []byte {
	switch v.Kind() {
	case 0:
		return b
	case trefoil.Text:
		return appendCell(b, v.Text())
	default:
		return v.AppendJSON(b)
	}
}

// appendCell quotes a text where that is needed.
func appendCell(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\",\r\n") && strings.TrimSpace(s) == s {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}

// ndjsonWriter writes an object per line.
type ndjsonWriter struct {
	w     io.Writer
	shape Shape
	buf   []byte
}

func (n *ndjsonWriter) Append(s history.Series, unit string) error {
	n.buf = grown(n.buf, rowBytes*(len(s.T)+1))
	labels := append([]byte(`,"`), n.shape.owner()...)
	labels = trefoil.TextValue(owner(s, n.shape)).AppendJSON(append(labels, `":`...))
	labels = trefoil.TextValue(s.Metric).AppendJSON(append(labels, `,"metric":`...))
	labels = trefoil.TextValue(unit).AppendJSON(append(labels, `,"unit":`...))
	for i, t := range s.T {
		n.buf = stamp(append(n.buf, `{"time":"`...), t)
		n.buf = t.AppendMillis(append(n.buf, `","ms":`...))
		n.buf = append(n.buf, labels...)
		if s.V != nil {
			n.buf = s.V[i].AppendJSON(append(n.buf, `,"value":`...))
		}
		for _, col := range s.Columns {
			n.buf = append(append(append(n.buf, `,"`...), col.Aggregate...), `":`...)
			if col.States != nil {
				n.buf = AppendStates(n.buf, col.States[i])
				continue
			}
			n.buf = col.V[i].AppendJSON(n.buf)
		}
		n.buf = append(n.buf, '}', '\n')
	}
	_, err := n.w.Write(n.buf)
	return err
}

func (n *ndjsonWriter) Close() error { return nil }
