package packet

import "encoding/binary"

// property is the identifier of a 5.0 property, section 2.2.2.2.
type property byte

const (
	propPayloadFormat        property = 0x01
	propMessageExpiry        property = 0x02
	propContentType          property = 0x03
	propResponseTopic        property = 0x08
	propCorrelationData      property = 0x09
	propSubscriptionID       property = 0x0B
	propSessionExpiry        property = 0x11
	propAssignedClientID     property = 0x12
	propServerKeepAlive      property = 0x13
	propAuthMethod           property = 0x15
	propAuthData             property = 0x16
	propRequestProblemInfo   property = 0x17
	propWillDelay            property = 0x18
	propRequestResponseInfo  property = 0x19
	propResponseInformation  property = 0x1A
	propServerReference      property = 0x1C
	propReasonString         property = 0x1F
	propReceiveMaximum       property = 0x21
	propTopicAliasMaximum    property = 0x22
	propTopicAlias           property = 0x23
	propMaximumQoS           property = 0x24
	propRetainAvailable      property = 0x25
	propUser                 property = 0x26
	propMaximumPacketSize    property = 0x27
	propWildcardAvailable    property = 0x28
	propSubscriptionIDsAvail property = 0x29
	propSharedAvailable      property = 0x2A
)

// properties is a set of them: bit n is the identifier n.
type properties uint64

const (
	messageProperties properties = 1<<propPayloadFormat | 1<<propMessageExpiry | 1<<propContentType |
		1<<propResponseTopic | 1<<propCorrelationData | 1<<propUser
	explainProperties properties = 1<<propReasonString | 1<<propUser
)

// propertyReader goes through the properties of one packet.
type propertyReader struct {
	reader     // over the properties alone
	id         property
	name       string // of the packet, for errors
	allowed    properties
	repeatable properties
	seen       properties
}

// properties takes the property length, which is there even when it is 0
// [MQTT-2.2.2-1], and what it covers from r.
func (r *reader) properties(name string, allowed properties) propertyReader {
	n := int(r.varint("property length"))
	b := r.take(n, "properties")
	return propertyReader{
		reader: reader{b: b, err: r.err}, name: name,
		allowed: allowed, repeatable: 1 << propUser,
	}
}

// next moves to the next property; the caller then reads its value.
func (p *propertyReader) next() bool {
	if len(p.b) == 0 {
		return false
	}
	id := p.varint("property identifier")
	switch {
	case p.err != nil:
		return false
	case id >= 64 || p.allowed&(1<<id) == 0:
		p.fail(malformed(p.name + " has a property that it may not have, section 2.2.2.2"))
		return false
	case p.seen&^p.repeatable&(1<<id) != 0:
		p.fail(protocolError(p.name + " has the same property twice, section 2.2.2.2"))
		return false
	}
	p.seen |= 1 << id
	p.id = property(id)
	return true
}

func (p *propertyReader) has(id property) bool { return p.seen&(1<<id) != 0 }

// bool reads a byte that must be 0 or 1.
func (p *propertyReader) bool(what string) bool {
	b := p.byte(what)
	if b > 1 {
		p.fail(protocolError(what + " is neither 0 nor 1, section 2.2.2.2"))
	}
	return b == 1
}

// nonZero16 reads a number that the specification forbids to be 0.
func (p *propertyReader) nonZero16(what string) uint16 {
	n := p.uint16(what)
	if n == 0 && p.err == nil {
		p.fail(protocolError(what + " is 0"))
	}
	return n
}

func (p *propertyReader) nonZero32(what string) uint32 {
	n := p.uint32(what)
	if n == 0 && p.err == nil {
		p.fail(protocolError(what + " is 0"))
	}
	return n
}

func (p *propertyReader) user(to *[]UserProperty) {
	u := UserProperty{Name: p.string("name of a user property"), Value: p.string("value of a user property")}
	if p.err == nil {
		*to = append(*to, u)
	}
}

// explanation reads the properties that all acks have.
func (p *propertyReader) explanation(reason *string, user *[]UserProperty) {
	switch p.id {
	case propReasonString:
		*reason = p.string("reason string")
	case propUser:
		p.user(user)
	}
}

func appendPropByte(dst []byte, id property, value byte) []byte { return append(dst, byte(id), value) }

func appendProp16(dst []byte, id property, value uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, byte(id)), value)
}

func appendProp32(dst []byte, id property, value uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(id)), value)
}

// appendPropText appends a string unless it is empty, which stands for absent.
func appendPropText(dst []byte, id property, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, byte(id)), s)
}

func appendPropBool(dst []byte, id property, value *bool) []byte {
	if value == nil {
		return dst
	}
	return append(dst, byte(id), flag(*value, 1))
}

// appendUser keeps order and repetition [MQTT-3.3.2-18].
func appendUser(dst []byte, user []UserProperty) []byte {
	for i := range user {
		dst = append(dst, byte(propUser))
		dst = appendString(dst, user[i].Name)
		dst = appendString(dst, user[i].Value)
	}
	return dst
}
