package packet

import "encoding/binary"

// maxField is the largest number of bytes of a string or of binary data,
// sections 1.5.4 and 1.5.6.
const maxField = 65535

// Fields that are too long for their length prefix are cut, so that a mistake
// of a caller never puts the following packets out of step.

func appendString(dst []byte, s string) []byte {
	s = s[:min(len(s), maxField)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte {
	b = b[:min(len(b), maxField)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(b))), b...)
}

func appendVarint(dst []byte, value uint32) []byte {
	for value >= 0x80 {
		dst = append(dst, byte(value)|0x80)
		value >>= 7
	}
	return append(dst, byte(value))
}

// begin starts a packet: its first byte, and one byte of room for the length
// that [finish] writes.
func begin(dst []byte, t Type, flags byte) []byte { return append(dst, byte(t)<<4|flags, 0) }

// finish writes the number of bytes behind dst[at] into dst[at], as a variable
// byte integer. Most packets are short and need one byte; the others are
// moved to make room.
func finish(dst []byte, at int) []byte {
	n := uint32(len(dst) - at - 1)
	if n < 1<<7 {
		dst[at] = byte(n)
		return dst
	}
	extra := varintSize(n) - 1
	dst = append(dst, 0, 0, 0)[:len(dst)+extra]
	copy(dst[at+1+extra:], dst[at+1:])
	appendVarint(dst[:at], n)
	return dst
}

// flag gives bit if on.
func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

// AppendPingreq appends a PINGREQ.
func AppendPingreq(dst []byte) []byte { return append(dst, byte(PINGREQ)<<4, 0) }

// AppendPingresp appends a PINGRESP.
func AppendPingresp(dst []byte) []byte { return append(dst, byte(PINGRESP)<<4, 0) }
