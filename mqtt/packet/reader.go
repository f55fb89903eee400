package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// reader takes fields from the front of a packet. After the first fault it is
// empty and gives zero values, so that a decoder asks once, at its end.
type reader struct {
	b   []byte
	err error // an *Error or nil
}

func (r *reader) fail(e *Error) {
	if r.err == nil {
		r.err = e
	}
	r.b = nil
}

// adopt takes over the fault of a reader over a part of r.
func (r *reader) adopt(err error) {
	if err != nil && r.err == nil {
		r.err, r.b = err, nil
	}
}

// take gives the next n bytes. Its capacity ends with it, so that an append
// of the caller cannot write into the field behind it.
func (r *reader) take(n int, what string) []byte {
	if len(r.b) < n {
		if r.err == nil {
			r.fail(malformed("the packet ends within its " + what))
		}
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte(what string) byte {
	if b := r.take(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16(what string) uint16 {
	if b := r.take(2, what); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32(what string) uint32 {
	if b := r.take(4, what); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// varint reads a variable byte integer inside a packet; only 5.0 has them.
func (r *reader) varint(what string) uint32 {
	value, used := parseVarint(r.b)
	switch {
	case used < 0:
		r.fail(malformed(what + " has more than four bytes, section 1.5.5"))
		return 0
	case used > varintSize(value):
		r.fail(malformed(what + " has more bytes than it needs [MQTT-1.5.5-1]"))
		return 0
	case used == 0:
		r.take(len(r.b)+1, what)
		return 0
	}
	r.b = r.b[used:]
	return value
}

// bytes reads binary data. It is not nil where there is no fault.
func (r *reader) bytes(what string) []byte { return r.take(int(r.uint16(what)), what) }

// text reads a UTF-8 string without copying it.
func (r *reader) text(what string) []byte {
	b := r.bytes(what)
	if !validText(b) {
		r.fail(malformed(what + " is not UTF-8 [MQTT-1.5.4-1], or has a U+0000 [MQTT-1.5.4-2]"))
		return nil
	}
	return b
}

// string reads a UTF-8 string; both parts of a pair are such [MQTT-1.5.7-1].
func (r *reader) string(what string) string { return string(r.text(what)) }

// validText refuses what section 1.5.4 refuses. A byte order mark is a
// character like another [MQTT-1.5.4-3].
func validText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// packetID reads a packet identifier, which is never 0 [MQTT-2.2.1-3],
// [MQTT-2.2.1-4], [MQTT-2.3.1-1 of 3.1.1].
func (r *reader) packetID() uint16 {
	id := r.uint16("packet identifier")
	if id == 0 && r.err == nil {
		r.fail(protocolError("packet identifier is 0 [MQTT-2.2.1-3]"))
	}
	return id
}

// end refuses bytes behind the last field.
func (r *reader) end(t Type) {
	if len(r.b) > 0 {
		r.fail(malformed(t.String() + " has bytes behind its end, section 2.1.4"))
	}
}
