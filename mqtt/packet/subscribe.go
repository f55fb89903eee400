package packet

import "encoding/binary"

// Decode reads the body of a SUBSCRIBE. Whether the server takes shared
// subscriptions, identifiers or wildcards is for the caller to decide. A 3.1.1
// filter that begins with $share/ must have the form of a shared subscription
// too.
func (s *Subscribe) Decode(v Version, body []byte) error {
	*s = Subscribe{}
	r := reader{b: body}
	s.PacketID = r.packetID()
	if v >= V5 {
		p := r.properties("SUBSCRIBE", 1<<propSubscriptionID|1<<propUser)
		for p.next() {
			if p.id == propSubscriptionID {
				s.SubscriptionID = p.subscriptionID()
			} else {
				p.user(&s.User)
			}
		}
		r.adopt(p.err)
	}
	if r.err == nil && len(r.b) == 0 {
		r.fail(protocolError("SUBSCRIBE has no topic filter [MQTT-3.8.3-2]"))
	}
	s.Subscriptions = make([]Subscription, 0, countFilters(r.b, 1))
	for len(r.b) > 0 {
		var sub Subscription
		sub.read(&r, v)
		s.Subscriptions = append(s.Subscriptions, sub)
	}
	return r.err
}

// countFilters counts the filters in a payload, each followed by extra bytes,
// so that a long list is allocated once and no larger than it is.
func countFilters(b []byte, extra int) (n int) {
	for len(b) >= 2 {
		n++
		b = b[min(len(b), 2+int(binary.BigEndian.Uint16(b))+extra):]
	}
	return n
}

func (s *Subscription) read(r *reader, v Version) {
	s.Filter = r.filter()
	o := r.byte("subscription options")
	if r.err != nil {
		return
	}
	s.QoS, s.NoLocal, s.RetainAsPublished = o&0b11, o&0b100 != 0, o&0b1000 != 0
	s.RetainHandling = o >> 4 & 0b11
	_, _, shared := ParseShared(s.Filter)
	switch {
	case v < V5 && o > 2:
		r.fail(malformed("requested QoS has reserved bits or is 3 [MQTT-3-8.3-4 of 3.1.1]"))
	case o&0b1100_0000 != 0:
		r.fail(malformed("subscription options have reserved bits [MQTT-3.8.3-5]"))
	case s.QoS == 3:
		r.fail(protocolError("subscription has QoS 3, section 3.8.3.1"))
	case s.RetainHandling == 3:
		r.fail(protocolError("subscription has retain handling 3, section 3.8.3.1"))
	case shared && s.NoLocal:
		r.fail(protocolError("no local on a shared subscription [MQTT-3.8.3-4]"))
	}
}

// filter reads a topic filter.
func (r *reader) filter() string {
	filter := string(r.bytes("topic filter")) // [MQTT-3.8.3-1], [MQTT-3.10.3-1]
	if r.err != nil {
		return ""
	}
	if e := checkFilter(filter); e != nil {
		r.fail(e)
	}
	return filter
}

// Append appends the packet.
func (s *Subscribe) Append(dst []byte, v Version) []byte {
	at := len(dst) + 1
	dst = begin(dst, SUBSCRIBE, 0b0010) // [MQTT-3.8.1-1]
	dst = binary.BigEndian.AppendUint16(dst, s.PacketID)
	if v >= V5 {
		dst = append(dst, 0)
		if s.SubscriptionID != 0 {
			dst = appendVarint(append(dst, byte(propSubscriptionID)), s.SubscriptionID)
		}
		dst = finish(appendUser(dst, s.User), at+3)
	}
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		dst = append(appendString(dst, sub.Filter), sub.options(v))
	}
	return finish(dst, at)
}

func (s *Subscription) options(v Version) byte {
	if v < V5 {
		return s.QoS
	}
	return s.QoS | flag(s.NoLocal, 0b100) | flag(s.RetainAsPublished, 0b1000) | s.RetainHandling<<4
}

// Decode reads the body of an UNSUBSCRIBE.
func (u *Unsubscribe) Decode(v Version, body []byte) error {
	*u = Unsubscribe{}
	r := reader{b: body}
	u.PacketID = r.packetID()
	if v >= V5 {
		p := r.properties("UNSUBSCRIBE", 1<<propUser)
		for p.next() {
			p.user(&u.User)
		}
		r.adopt(p.err)
	}
	if r.err == nil && len(r.b) == 0 {
		r.fail(protocolError("UNSUBSCRIBE has no topic filter [MQTT-3.10.3-2]"))
	}
	u.Filters = make([]string, 0, countFilters(r.b, 0))
	for len(r.b) > 0 {
		u.Filters = append(u.Filters, r.filter())
	}
	return r.err
}

// Append appends the packet.
func (u *Unsubscribe) Append(dst []byte, v Version) []byte {
	at := len(dst) + 1
	dst = begin(dst, UNSUBSCRIBE, 0b0010) // [MQTT-3.10.1-1]
	dst = binary.BigEndian.AppendUint16(dst, u.PacketID)
	if v >= V5 {
		dst = finish(appendUser(append(dst, 0), u.User), at+3)
	}
	for _, f := range u.Filters {
		dst = appendString(dst, f)
	}
	return finish(dst, at)
}
