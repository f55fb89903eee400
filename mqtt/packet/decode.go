package packet

// Packet is any packet that can be written.
type Packet interface {
	// Append appends the whole packet in the form of v. It allocates only when
	// dst has too little room.
	Append(dst []byte, v Version) []byte
}

// Pingreq is a PINGREQ packet.
type Pingreq struct{}

// Append appends the packet, see [AppendPingreq].
func (Pingreq) Append(dst []byte, _ Version) []byte { return AppendPingreq(dst) }

// Pingresp is a PINGRESP packet.
type Pingresp struct{}

// Append appends the packet, see [AppendPingresp].
func (Pingresp) Append(dst []byte, _ Version) []byte { return AppendPingresp(dst) }

// Decode reads any packet into a new value, for clients and tests; a server
// that wants to allocate less calls the methods. body is h.Length bytes long.
// The result is a pointer to the type, or [Pingreq] or [Pingresp]. For a
// CONNECT v is not looked at; its [Connect] comes back also with an error.
func Decode(v Version, h Header, body []byte) (Packet, error) {
	if h.Type == CONNECT {
		c := new(Connect)
		if err := c.Decode(body); err != nil {
			return c, err
		}
		return c, h.Check(c.Version)
	}
	if err := h.Check(v); err != nil {
		return nil, err
	}
	p, err := decode(v, h, body)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func decode(v Version, h Header, body []byte) (Packet, error) {
	switch h.Type {
	case CONNACK:
		p := new(Connack)
		return p, p.Decode(v, body)
	case PUBLISH:
		p := new(Publish)
		return p, p.Decode(v, h.Flags, body)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		p := new(Ack)
		return p, p.Decode(v, h.Type, body)
	case SUBSCRIBE:
		p := new(Subscribe)
		return p, p.Decode(v, body)
	case SUBACK, UNSUBACK:
		p := new(Suback)
		return p, p.Decode(v, h.Type, body)
	case UNSUBSCRIBE:
		p := new(Unsubscribe)
		return p, p.Decode(v, body)
	case PINGREQ:
		return Pingreq{}, nil
	case PINGRESP:
		return Pingresp{}, nil
	case DISCONNECT:
		p := new(Disconnect)
		return p, p.Decode(v, body)
	case AUTH:
		p := new(Auth)
		return p, p.Decode(v, body)
	default:
		return nil, malformed("packet type is reserved, section 2.1.2")
	}
}
