package trefoil

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the type of a [Value].
type Kind uint8

// The kinds. The zero Kind is no value.
const (
	Number  Kind = 1
	Boolean Kind = 2
	Text    Kind = 3
)

// Value is one measured value: a finite number, a boolean or a text.
type Value struct {
	kind Kind
	num  float64
	text string
}

// NumberValue makes a number. NaN and infinities are not values; decoders
// refuse them before they get here.
func NumberValue(f float64) Value { return Value{kind: Number, num: f} }

// BooleanValue makes a boolean.
func BooleanValue(b bool) Value {
	if b {
		return Value{kind: Boolean, num: 1}
	}
	return Value{kind: Boolean}
}

// TextValue makes a text.
func TextValue(s string) Value { return Value{kind: Text, text: s} }

// Kind gives the type of v.
func (v Value) Kind() Kind { return v.kind }

// Float gives a number as it is, a boolean as 0 or 1, a text as 0.
func (v Value) Float() float64 { return v.num }

// Bool reports whether v is the boolean true.
func (v Value) Bool() bool { return v.kind == Boolean && v.num != 0 }

// Text gives the text of v, "" for numbers and booleans.
func (v Value) Text() string { return v.text }

// Valid reports whether v can be stored: a finite number, a boolean, or a
// text that is UTF-8 and at most [MaxText] bytes long.
func (v Value) Valid() bool {
	switch v.kind {
	case Number:
		return !math.IsNaN(v.num) && !math.IsInf(v.num, 0)
	case Boolean:
		return true
	case Text:
		return len(v.text) <= MaxText && utf8.ValidString(v.text)
	default:
		return false
	}
}

// AppendJSON appends v as JSON: 21.5, true, "open".
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case Number:
		return appendFloat(b, v.num)
	case Boolean:
		return strconv.AppendBool(b, v.num != 0)
	case Text:
		return appendJSONString(b, v.text)
	default:
		return append(b, "null"...)
	}
}

// appendFloat writes the shortest decimal that reads back as f, without an
// exponent where that stays short.
func appendFloat(b []byte, f float64) []byte {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == '<' || r == '\u2028' || r == '\u2029':
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// MarshalJSON writes v as [Value.AppendJSON] does.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// Bounds of a reading.
const (
	MaxText   = 4096 // bytes of a text value
	MaxMetric = 128  // bytes of a metric's name
)

// Reading is one value of one metric at one time. Which device it belongs to
// is said by the [Message] that carries it.
type Reading struct {
	Metric string
	Time   Instant
	Value  Value
}

// ParseMetric checks the name of a metric: 1–128 bytes of UTF-8 without
// control characters, spaces at the ends, or the MQTT wildcards + and #.
func ParseMetric(s string) (string, error) {
	switch {
	case s == "":
		return "", Errorf(CodeInvalid, "metric name is empty")
	case len(s) > MaxMetric:
		return "", Errorf(CodeInvalid, "metric name has %d bytes; at most %d are allowed", len(s), MaxMetric)
	case !utf8.ValidString(s):
		return "", Errorf(CodeInvalid, "metric name is not UTF-8")
	case strings.TrimSpace(s) != s:
		return "", Errorf(CodeInvalid, "metric name %q starts or ends with a space", s)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '+' || r == '#' }); i >= 0 {
		return "", Errorf(CodeInvalid, "metric name %q has a control character, + or # at byte %d", s, i+1)
	}
	return s, nil
}
