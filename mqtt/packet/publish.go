package packet

import "encoding/binary"

const publishProperties = messageProperties | 1<<propTopicAlias | 1<<propSubscriptionID

// Decode reads the body of a PUBLISH; flags are the lower four bits of the
// fixed header. It does not allocate, but for strings, user properties,
// subscription identifiers and the message expiry. Whether the sender may use
// the alias, the QoS or a subscription identifier [MQTT-3.3.4-6] is for the
// caller to decide.
func (p *Publish) Decode(v Version, flags byte, body []byte) error {
	*p = Publish{Dup: flags&0b1000 != 0, QoS: flags >> 1 & 0b11, Retain: flags&1 != 0}
	if e := p.checkFlags(); e != nil {
		return e
	}
	r := reader{b: body}
	p.Topic = r.bytes("topic name") // [MQTT-3.3.2-1]; it and the response topic are tested by checkTopic
	if p.QoS > 0 {                  // [MQTT-2.2.1-2]
		p.PacketID = r.packetID()
	}
	if v >= V5 {
		p.readProperties(&r)
	}
	if r.err == nil {
		if e := p.checkTopic(); e != nil {
			return e
		}
	}
	p.Payload = r.b
	return r.err
}

func (p *Publish) checkFlags() *Error {
	switch {
	case p.QoS > 2:
		return malformed("PUBLISH has QoS 3 [MQTT-3.3.1-4]")
	case p.Dup && p.QoS == 0:
		return malformed("PUBLISH has DUP with QoS 0 [MQTT-3.3.1-2]")
	default:
		return nil
	}
}

// checkTopic lets an alias stand for the topic name, section 3.3.2.3.4.
func (p *Publish) checkTopic() *Error {
	switch {
	case len(p.Topic) > 0:
		return checkTopic(p.Topic)
	case p.TopicAlias == 0:
		return protocolError("PUBLISH has neither topic name nor topic alias, section 3.3.2.1")
	default:
		return nil
	}
}

func (p *Publish) readProperties(r *reader) {
	if len(r.b) > 0 && r.b[0] == 0 { // the usual case: none
		r.b = r.b[1:]
		return
	}
	props := r.properties("PUBLISH", publishProperties)
	props.repeatable |= 1 << propSubscriptionID
	for props.next() {
		switch props.id {
		case propTopicAlias:
			p.TopicAlias = props.uint16("topic alias")
			if p.TopicAlias == 0 && props.err == nil {
				props.fail(&Error{Reason: TopicAliasInvalid, What: "topic alias is 0 [MQTT-3.3.2-8]"})
			}
		case propSubscriptionID:
			if id := props.subscriptionID(); id != 0 {
				p.SubscriptionIDs = append(p.SubscriptionIDs, id)
			}
		default:
			p.Properties.read(&props)
		}
	}
	r.adopt(props.err)
}

// subscriptionID reads a number from 1 to 268435455, sections 3.3.2.3.8 and
// 3.8.2.1.2.
func (p *propertyReader) subscriptionID() uint32 {
	id := p.varint("subscription identifier")
	if id == 0 && p.err == nil {
		p.fail(protocolError("subscription identifier is 0, section 3.8.2.1.2"))
	}
	return id
}

// Validate tests a packet that an application made as Decode tests one that
// came in: topic, lengths, UTF-8, QoS. What passes is sent unchanged by
// Append; without it, fields that are too long are cut.
func (p *Publish) Validate(v Version) error {
	if e := p.validate(v); e != nil {
		return e
	}
	return nil
}

func (p *Publish) validate(v Version) *Error {
	if e := p.checkFlags(); e != nil {
		return e
	}
	if p.QoS > 0 && p.PacketID == 0 {
		return protocolError("packet identifier is 0 [MQTT-2.2.1-3]")
	}
	if v < V5 && len(p.Topic) == 0 {
		return checkTopic(p.Topic)
	}
	if e := p.checkTopic(); e != nil {
		return e
	}
	if v >= V5 {
		if e := p.Properties.check(); e != nil {
			return e
		}
	}
	if p.remaining(v) > MaxRemainingLength {
		return &Error{Reason: PacketTooLarge, What: "PUBLISH has more than 268435455 bytes, section 2.1.4"}
	}
	return nil
}

// Size is the number of bytes that Append adds: what is compared with the
// receiver's Maximum Packet Size [MQTT-3.1.2-24]. A packet with more than
// [MaxRemainingLength] bytes behind its fixed header cannot be sent at all.
func (p *Publish) Size(v Version) int {
	n := p.remaining(v)
	return 1 + varintSize(uint32(min(n, MaxRemainingLength))) + n
}

func (p *Publish) remaining(v Version) int {
	n := fieldSize(len(p.Topic)) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if v >= V5 {
		props := p.propertySize()
		n += varintSize(uint32(props)) + props
	}
	return n
}

func (p *Publish) propertySize() int {
	n := p.Properties.size()
	if p.TopicAlias != 0 {
		n += 3
	}
	for _, id := range p.SubscriptionIDs {
		n += 1 + varintSize(id)
	}
	return n
}

// Append appends the packet. To send one message to many subscribers, change
// PacketID, QoS, Dup, Retain, TopicAlias and SubscriptionIDs and append again:
// the rest is copied, nothing is allocated when dst has room for Size bytes.
func (p *Publish) Append(dst []byte, v Version) []byte {
	dst = append(dst, byte(PUBLISH)<<4|flag(p.Dup, 0b1000)|p.QoS<<1|flag(p.Retain, 1))
	dst = appendVarint(dst, uint32(p.remaining(v)))
	dst = appendBytes(dst, p.Topic)
	if p.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.PacketID)
	}
	if v >= V5 {
		dst = p.appendProperties(dst)
	}
	return append(dst, p.Payload...)
}

func (p *Publish) appendProperties(dst []byte) []byte {
	dst = appendVarint(dst, uint32(p.propertySize()))
	if p.TopicAlias != 0 {
		dst = appendProp16(dst, propTopicAlias, p.TopicAlias)
	}
	for _, id := range p.SubscriptionIDs {
		dst = appendVarint(append(dst, byte(propSubscriptionID)), id)
	}
	return p.Properties.append(dst)
}
