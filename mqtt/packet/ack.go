package packet

import "encoding/binary"

// Decode reads the body of a PUBACK, PUBREC, PUBREL or PUBCOMP; t says which.
func (a *Ack) Decode(v Version, t Type, body []byte) error {
	*a = Ack{Type: t}
	r := reader{b: body}
	a.PacketID = r.packetID()
	if v < V5 || len(body) == 2 { // short form: success, section 3.4.2.1
		r.end(t)
		return r.err
	}
	a.Reason = r.reason(t)
	if len(body) == 3 { // no property length, section 3.4.2.2.1
		return r.err
	}
	p := r.properties(t.String(), explainProperties)
	for p.next() {
		p.explanation(&a.ReasonString, &a.User)
	}
	if p.err != nil {
		return p.err
	}
	r.end(t)
	return r.err
}

// Append appends the packet. Type must be set. The reason is left out where
// it is success, and always for 3.1.1.
func (a *Ack) Append(dst []byte, v Version) []byte {
	return a.append(dst, v, explanation{a.ReasonString, a.User})
}

// AppendWithin appends the packet in at most limit bytes (0: any number), if
// need be without user properties and reason string [MQTT-3.4.2-2],
// [MQTT-3.4.2-3]. It gives dst and false if even that is too large.
func (a *Ack) AppendWithin(dst []byte, v Version, limit uint32) ([]byte, bool) {
	for _, e := range (explanation{a.ReasonString, a.User}).shorter() {
		if out := a.append(dst, v, e); within(len(out)-len(dst), limit) {
			return out, true
		}
	}
	return dst, false
}

func (a *Ack) append(dst []byte, v Version, e explanation) []byte {
	at := len(dst) + 1
	dst = begin(dst, a.Type, flag(a.Type == PUBREL, 0b0010)) // [MQTT-3.6.1-1]
	dst = binary.BigEndian.AppendUint16(dst, a.PacketID)
	switch {
	case v < V5 || a.Reason == Success && e.empty():
	case e.empty():
		dst = append(dst, byte(a.Reason))
	default:
		dst = append(dst, byte(a.Reason), 0)
		dst = finish(e.append(dst), at+4)
	}
	return finish(dst, at)
}
