package packet

import "encoding/binary"

// Decode reads the body of a SUBACK or UNSUBACK; t says which.
func (s *Suback) Decode(v Version, t Type, body []byte) error {
	*s = Suback{Type: t}
	r := reader{b: body}
	s.PacketID = r.packetID()
	if v < V5 && t == UNSUBACK { // no payload, section 3.11.3 of 3.1.1
		r.end(t)
		return r.err
	}
	if v >= V5 {
		p := r.properties(t.String(), explainProperties)
		for p.next() {
			p.explanation(&s.ReasonString, &s.User)
		}
		r.adopt(p.err)
	}
	if r.err == nil && len(r.b) == 0 {
		r.fail(protocolError(t.String() + " has no reason codes [MQTT-3.8.4-6]"))
	}
	s.Reasons = make([]ReasonCode, 0, len(r.b))
	for len(r.b) > 0 {
		code := r.reason(t)
		if v < V5 && r.err == nil && code > GrantedQoS2 && code != UnspecifiedError {
			r.fail(protocolError("SUBACK has a reserved return code [MQTT-3.9.3-2 of 3.1.1]"))
		}
		s.Reasons = append(s.Reasons, code)
	}
	return r.err
}

// Append appends the packet. 3.1.1 knows one error of a SUBACK, 0x80, and none
// of an UNSUBACK.
func (s *Suback) Append(dst []byte, v Version) []byte {
	return s.append(dst, v, explanation{s.ReasonString, s.User})
}

// AppendWithin appends the packet in at most limit bytes, see
// [Ack.AppendWithin]; [MQTT-3.9.2-1], [MQTT-3.9.2-2], [MQTT-3.11.2-1],
// [MQTT-3.11.2-2].
func (s *Suback) AppendWithin(dst []byte, v Version, limit uint32) ([]byte, bool) {
	for _, e := range (explanation{s.ReasonString, s.User}).shorter() {
		if out := s.append(dst, v, e); within(len(out)-len(dst), limit) {
			return out, true
		}
	}
	return dst, false
}

func (s *Suback) append(dst []byte, v Version, e explanation) []byte {
	at := len(dst) + 1
	dst = begin(dst, s.Type, 0)
	dst = binary.BigEndian.AppendUint16(dst, s.PacketID)
	if v < V5 {
		return finish(s.appendV311(dst), at)
	}
	dst = finish(e.append(append(dst, 0)), at+3)
	for _, code := range s.Reasons {
		dst = append(dst, byte(code))
	}
	return finish(dst, at)
}

func (s *Suback) appendV311(dst []byte) []byte {
	if s.Type == UNSUBACK {
		return dst
	}
	for _, code := range s.Reasons {
		if code.IsError() {
			code = UnspecifiedError
		}
		dst = append(dst, byte(code))
	}
	return dst
}
