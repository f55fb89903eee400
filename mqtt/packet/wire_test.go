package packet

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// wire makes bytes from hex digits, spaces between them, and 'text'. A part in
// brackets gets its length in front, as a variable byte integer.
func wire(t testing.TB, s string) []byte {
	t.Helper()
	before, rest, found := strings.Cut(s, "[")
	if found {
		inner, after, _ := strings.Cut(rest, "]")
		properties := wire(t, inner)
		b := appendVarint(wire(t, before), uint32(len(properties)))
		return append(append(b, properties...), wire(t, after)...)
	}
	var b []byte
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			b = append(b, part...)
			continue
		}
		raw, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatalf("%q is not hex: %v", part, err)
		}
		b = append(b, raw...)
	}
	return b
}

// packed puts a fixed header with first as its first byte before body.
func packed(t testing.TB, first byte, body string) []byte {
	t.Helper()
	b := wire(t, body)
	return append(appendVarint([]byte{first}, uint32(len(b))), b...)
}

// decodeAll decodes b, which must be one packet.
func decodeAll(t testing.TB, v Version, b []byte) (Packet, error) {
	t.Helper()
	h, n, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	if n+h.Length != len(b) {
		t.Fatalf("header says %d+%d bytes, the table has %d", n, h.Length, len(b))
	}
	return Decode(v, h, b[n:])
}

// reasonOf gives the reason and text of an *Error, and 0 for another error.
func reasonOf(err error) (ReasonCode, string) {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason, e.What
	}
	return 0, ""
}
