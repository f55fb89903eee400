// Package table writes what a history answers as rows, for programs that
// calculate with them, and reads such rows back: comma-separated values,
// JSON lines, and Parquet.
package table

import (
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

// Format is a way to write rows.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	NDJSON  Format = "ndjson"
	Parquet Format = "parquet"
)

// Formats lists all formats.
func Formats() []Format { return []Format{CSV, NDJSON, Parquet} }

// ContentType is the media type of f.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case NDJSON:
		return "application/x-ndjson"
	default:
		return "application/vnd.apache.parquet"
	}
}

// Accepted gives the format that an Accept header asks for, or "" where it
// asks for something else, or for nothing in particular.
func Accepted(header string) Format {
	best, found := 0.0, Format("")
	for part := range strings.SplitSeq(header, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			quality = q
		}
		if quality <= best {
			continue
		}
		best, found = quality, ""
		for _, f := range Formats() {
			if own, _, _ := strings.Cut(f.ContentType(), ";"); own == media || f == NDJSON && media == "application/ndjson" {
				found = f
			}
		}
	}
	return found
}

// Shape says which columns rows have.
type Shape struct {
	Grouped    bool                // column group in the place of device
	Aggregates []history.Aggregate // none for single readings
}

func (s Shape) owner() string {
	if s.Grouped {
		return "group"
	}
	return "device"
}

// Writer writes rows.
type Writer interface {
	// Append writes a row for every time of s, whose columns are those of the
	// shape. It keeps nothing of s.
	Append(s history.Series, unit string) error

	// Close ends the table, which is not complete without, and leaves the
	// writer below it open.
	Close() error
}

// NewWriter makes a writer of rows to w, which should be buffered.
func NewWriter(f Format, w io.Writer, shape Shape) Writer {
	switch f {
	case CSV:
		return newCSV(w, shape)
	case NDJSON:
		return &ndjsonWriter{w: w, shape: shape}
	default:
		return newParquet(w, shape)
	}
}

// owner is the device or the group that a series belongs to.
func owner(s history.Series, shape Shape) string {
	if shape.Grouped {
		return s.Group
	}
	return string(s.Device)
}

// kindOf names the kind of a value.
func kindOf(v trefoil.Value) string {
	switch v.Kind() {
	case trefoil.Number:
		return "number"
	case trefoil.Boolean:
		return "boolean"
	case trefoil.Text:
		return "text"
	default:
		return ""
	}
}

// AppendStates writes how long values held as an object of seconds.
func AppendStates(b []byte, states []history.State) []byte {
	b = append(b, '{')
	for i, s := range states {
		if i > 0 {
			b = append(b, ',')
		}
		name := s.Value.Text()
		if s.Value.Kind() != trefoil.Text {
			name = string(s.Value.AppendJSON(nil))
		}
		b = trefoil.TextValue(name).AppendJSON(b)
		b = append(b, ':')
		b = trefoil.NumberValue(s.For.Seconds()).AppendJSON(b)
	}
	return append(b, '}')
}

// stamp writes t as RFC 3339 with as many digits as it needs.
func stamp(b []byte, t trefoil.Instant) []byte {
	return t.Time().AppendFormat(b, "2006-01-02T15:04:05.999999Z07:00")
}

// grown makes room for n more bytes at once.
func grown(b []byte, n int) []byte { return slices.Grow(b[:0], n) }
