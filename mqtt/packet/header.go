package packet

// MaxRemainingLength is the largest length that a fixed header can state.
const MaxRemainingLength = 268_435_455

// ParseHeader reads the fixed header at the beginning of b and gives the
// number of bytes that it takes, 2 to 5. It gives [ErrIncomplete] when b ends
// before the header does, and an [*Error] for a header that no version of MQTT
// knows. What depends on the version is left to [Header.Check].
//
// A refusal comes as early as it can be known: a wrong first byte does not
// wait for the length.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, ErrIncomplete
	}
	h = Header{Type: Type(b[0] >> 4), Flags: b[0] & 0x0F}
	if e := h.checkFlags(); e != nil {
		return Header{}, 0, e
	}
	length, used := parseVarint(b[1:])
	switch {
	case used < 0:
		return Header{}, 0, malformed("remaining length has more than four bytes, section 2.1.4")
	case used == 0:
		return Header{}, 0, ErrIncomplete
	case length > 0 && (h.Type == PINGREQ || h.Type == PINGRESP):
		return Header{}, 0, malformed(h.Type.String() + " has a body, section 3.12")
	}
	h.Length = int(length)
	h.Padded = used > varintSize(length)
	return h, 1 + used, nil
}

// checkFlags tests type and flags; the flags of a PUBLISH are tested by
// [Publish.Decode].
func (h Header) checkFlags() *Error {
	want := byte(0)
	switch h.Type {
	case 0:
		return malformed("packet type 0 is reserved, section 2.1.2")
	case PUBLISH:
		return nil
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		want = 0b0010
	}
	if h.Flags != want {
		return malformed("reserved flags of " + h.Type.String() + " have a wrong value [MQTT-2.1.3-1]")
	}
	return nil
}

// Check tests what depends on the version: 3.1.1 has no AUTH, and 5.0 forbids
// a remaining length in more bytes than it needs [MQTT-1.5.5-1], which 3.1.1
// allows. For a CONNECT it can be called when [Connect.Decode] has found out
// the version.
func (h Header) Check(v Version) error {
	switch {
	case v < V5 && h.Type == AUTH:
		return malformed("packet type 15 is reserved in 3.1.1, section 2.2.1")
	case v >= V5 && h.Padded:
		return malformed("remaining length has more bytes than it needs [MQTT-1.5.5-1]")
	default:
		return nil
	}
}

// String gives the name of the type as the specification writes it.
func (t Type) String() string {
	if int(t) >= len(typeNames) {
		return "RESERVED"
	}
	return typeNames[t]
}

var typeNames = [...]string{
	"RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
	"SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

// parseVarint reads a variable byte integer, section 1.5.5. used is 0 when b
// is too short and -1 when a fourth byte asks for a fifth one.
func parseVarint(b []byte) (value uint32, used int) {
	for i := range 4 {
		if i == len(b) {
			return 0, 0
		}
		value |= uint32(b[i]&0x7F) << (7 * i)
		if b[i] < 0x80 {
			return value, i + 1
		}
	}
	return 0, -1
}

// varintSize is the smallest number of bytes for value.
func varintSize(value uint32) int {
	switch {
	case value < 1<<7:
		return 1
	case value < 1<<14:
		return 2
	case value < 1<<21:
		return 3
	default:
		return 4
	}
}
