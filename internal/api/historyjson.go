package api

import (
	"slices"
	"strconv"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/history/table"
)

// historyJSON writes an answer column by column, without reflection: it may
// have hundreds of thousands of values.
type historyJSON struct {
	out   *stream
	query history.Query
	many  bool // series say whose they are
	begun bool
	buf   []byte
}

func (j *historyJSON) append(s history.Series, unit string) error {
	j.buf = j.head(j.buf[:0])
	j.buf = j.series(j.buf, s, unit)
	_, err := j.out.Write(j.buf)
	return err
}

// head writes what comes before a series.
func (j *historyJSON) head(b []byte) []byte {
	if j.begun {
		return append(b, ',')
	}
	j.begun = true
	b = j.query.From.AppendMillis(append(b, `{"from":`...))
	b = j.query.To.AppendMillis(append(b, `,"to":`...))
	if !j.query.Step.IsZero() {
		b = strconv.AppendInt(append(b, `,"step":`...), j.query.Step.Length().Milliseconds(), 10)
		if z := j.query.Zone; z != nil && z.String() != "UTC" {
			b = trefoil.TextValue(z.String()).AppendJSON(append(b, `,"tz":`...))
		}
	}
	return append(b, `,"series":[`...)
}

func (j *historyJSON) close() error {
	b := j.buf[:0]
	if !j.begun {
		b = j.head(b)
	}
	_, err := j.out.Write(append(b, "]}\n"...))
	return err
}

func (j *historyJSON) series(b []byte, s history.Series, unit string) []byte {
	b = slices.Grow(b, 20*len(s.T)*(1+len(s.Columns)))
	b = append(b, '{')
	switch {
	case j.query.Grouped:
		b = trefoil.TextValue(s.Group).AppendJSON(append(b, `"group":`...))
		b = strconv.AppendInt(append(b, `,"devices":`...), int64(s.Devices), 10)
		b = append(b, ',')
	case j.many:
		b = trefoil.TextValue(string(s.Device)).AppendJSON(append(b, `"device":`...))
		b = append(b, ',')
	}
	b = trefoil.TextValue(s.Metric).AppendJSON(append(b, `"metric":`...))
	b = trefoil.TextValue(unit).AppendJSON(append(b, `,"unit":`...))
	b = append(b, `,"t":[`...)
	for i, t := range s.T {
		if i > 0 {
			b = append(b, ',')
		}
		b = t.AppendMillis(b)
	}
	b = append(b, ']')
	if s.V != nil {
		b = appendColumn(b, "v", s.V)
	}
	for _, c := range s.Columns {
		if c.Aggregate == history.States {
			b = appendStates(b, c.States)
			continue
		}
		b = appendColumn(b, string(c.Aggregate), c.V)
	}
	if s.More {
		b = append(b, `,"more":true`...)
	}
	return append(b, '}')
}

func appendColumn(b []byte, name string, values []trefoil.Value) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":[`...)
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.AppendJSON(b)
	}
	return append(b, ']')
}

func appendStates(b []byte, states [][]history.State) []byte {
	b = append(b, `,"states":[`...)
	for i, s := range states {
		if i > 0 {
			b = append(b, ',')
		}
		b = table.AppendStates(b, s)
	}
	return append(b, ']')
}
