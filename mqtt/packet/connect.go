package packet

import "encoding/binary"

// The connect flags, section 3.1.2.3.
const (
	flagReserved   = 1 << 0
	flagCleanStart = 1 << 1
	flagWill       = 1 << 2
	shiftWillQoS   = 3
	flagWillRetain = 1 << 5
	flagPassword   = 1 << 6
	flagUsername   = 1 << 7
)

const (
	connectProperties = 1<<propSessionExpiry | 1<<propReceiveMaximum | 1<<propMaximumPacketSize |
		1<<propTopicAliasMaximum | 1<<propRequestResponseInfo | 1<<propRequestProblemInfo |
		1<<propUser | 1<<propAuthMethod | 1<<propAuthData
	willProperties = messageProperties | 1<<propWillDelay
)

// Decode reads the body of a CONNECT of either version. When it fails, Version
// says in which version a CONNACK may be written with the reason of the error:
// a client of 3.1 or older gets return code 1 in the form of 3.1.1
// [MQTT-3.1.2-2], one that is newer than 5.0 gets 0x84 in the form of 5.0.
// Version 0 means that the protocol is another one: close without an answer
// [MQTT-3.1.2-1]. The same holds for a 3.1.1 client when
// [ReasonCode.V311] knows no return code [MQTT-3.1.4-1 of 3.1.1].
func (c *Connect) Decode(body []byte) error {
	*c = Connect{ReceiveMaximum: 65535, RequestProblemInfo: true}
	r := reader{b: body}
	c.readProtocol(&r)
	flags := r.byte("connect flags")
	c.checkFlags(&r, flags)
	c.CleanStart = flags&flagCleanStart != 0
	c.KeepAlive = r.uint16("keep alive")
	if c.Version == V5 {
		c.readProperties(&r)
	}
	// The fields in their order, and none that no flag announces: bytes behind
	// the last one are refused. [MQTT-3.1.3-1], [MQTT-3.1.2-16], [MQTT-3.1.2-18]
	c.ClientID = r.string("client identifier") // [MQTT-3.1.3-3], [MQTT-3.1.3-4]
	if flags&flagWill != 0 {
		c.readWill(&r, flags)
	}
	if flags&flagUsername != 0 {
		c.HasUsername, c.Username = true, r.string("user name") // [MQTT-3.1.2-17], [MQTT-3.1.3-12]
	}
	if flags&flagPassword != 0 {
		c.HasPassword, c.Password = true, r.bytes("password") // [MQTT-3.1.2-19]
	}
	r.end(CONNECT)
	if r.err == nil && c.Version == V311 && c.ClientID == "" && !c.CleanStart {
		r.fail(&Error{
			Reason: ClientIdentifierNotValid,
			What:   "client identifier is empty without clean session [MQTT-3.1.3-8 of 3.1.1]",
		})
	}
	return r.err
}

func (c *Connect) readProtocol(r *reader) {
	name := r.text("protocol name")
	level := r.byte("protocol version")
	known := string(name) == "MQTT" || string(name) == "MQIsdp"
	switch {
	case r.err != nil:
		return
	case !known:
		r.fail(&Error{Reason: UnsupportedProtocolVersion, What: "protocol name is not MQTT [MQTT-3.1.2-1]"})
	case string(name) == "MQTT" && (level == byte(V311) || level == byte(V5)):
		c.Version = Version(level)
	default:
		c.Version = V5
		if level&0x7F < byte(V5) { // a bridge sets the highest bit in its try
			c.Version = V311
		}
		r.fail(&Error{
			Reason: UnsupportedProtocolVersion,
			What:   "protocol is neither MQTT 3.1.1 nor 5.0 [MQTT-3.1.2-2]",
		})
	}
}

func (c *Connect) checkFlags(r *reader, flags byte) {
	if r.err != nil {
		return
	}
	willQoS := flags >> shiftWillQoS & 0b11
	switch {
	case flags&flagReserved != 0:
		r.fail(malformed("reserved flag of CONNECT is set [MQTT-3.1.2-3]"))
	case willQoS == 3:
		r.fail(malformed("will has QoS 3 [MQTT-3.1.2-12]"))
	case flags&flagWill == 0 && willQoS != 0:
		r.fail(malformed("will QoS without a will [MQTT-3.1.2-11]"))
	case flags&flagWill == 0 && flags&flagWillRetain != 0:
		r.fail(malformed("will retain without a will [MQTT-3.1.2-13]"))
	case c.Version == V311 && flags&flagUsername == 0 && flags&flagPassword != 0:
		r.fail(malformed("password without a user name [MQTT-3.1.2-22 of 3.1.1]"))
	}
}

func (c *Connect) readProperties(r *reader) {
	p := r.properties("CONNECT", connectProperties)
	for p.next() {
		c.readProperty(&p)
	}
	switch {
	case p.err != nil:
	case p.has(propAuthData) && !p.has(propAuthMethod):
		p.fail(protocolError("CONNECT has authentication data without a method, section 3.1.2.11.10"))
	case p.has(propAuthMethod) && c.AuthenticationMethod == "":
		p.fail(&Error{Reason: BadAuthenticationMethod, What: "authentication method is empty, section 4.12"})
	}
	r.adopt(p.err)
}

func (c *Connect) readProperty(p *propertyReader) {
	switch p.id {
	case propSessionExpiry:
		c.SessionExpiry = p.uint32("session expiry interval")
	case propReceiveMaximum:
		c.ReceiveMaximum = p.nonZero16("receive maximum") // section 3.1.2.11.3
	case propMaximumPacketSize:
		c.MaximumPacketSize = p.nonZero32("maximum packet size") // section 3.1.2.11.4
	case propTopicAliasMaximum:
		c.TopicAliasMaximum = p.uint16("topic alias maximum")
	case propRequestResponseInfo:
		c.RequestResponseInfo = p.bool("request response information")
	case propRequestProblemInfo:
		c.RequestProblemInfo = p.bool("request problem information")
	case propUser:
		p.user(&c.User)
	case propAuthMethod:
		c.AuthenticationMethod = p.string("authentication method")
	case propAuthData:
		c.HasAuthenticationData = true
		c.AuthenticationData = p.bytes("authentication data")
	}
}

func (c *Connect) readWill(r *reader, flags byte) {
	w := &Will{QoS: flags >> shiftWillQoS & 0b11, Retain: flags&flagWillRetain != 0}
	if c.Version == V5 {
		p := r.properties("will", willProperties)
		for p.next() {
			if p.id == propWillDelay {
				w.Delay = p.uint32("will delay interval")
			} else {
				w.Properties.read(&p)
			}
		}
		r.adopt(p.err)
	}
	topic := r.bytes("will topic")
	if r.err == nil {
		if e := checkTopic(topic); e != nil { // [MQTT-3.1.3-11]
			r.fail(&Error{Reason: e.Reason, What: "will: " + e.What})
		}
	}
	w.Topic = string(topic)
	w.Payload = r.bytes("will payload")
	c.Will = w
}

// Append appends the packet in the form of v; the field Version is not looked
// at. A ReceiveMaximum of 0 is left out like 65535.
func (c *Connect) Append(dst []byte, v Version) []byte {
	at := len(dst) + 1
	dst = appendString(begin(dst, CONNECT, 0), "MQTT")
	dst = append(dst, byte(v), c.flags())
	dst = binary.BigEndian.AppendUint16(dst, c.KeepAlive)
	if v >= V5 {
		dst = c.appendProperties(dst)
	}
	dst = appendString(dst, c.ClientID)
	if c.Will != nil {
		dst = c.Will.append(dst, v)
	}
	if c.HasUsername {
		dst = appendString(dst, c.Username)
	}
	if c.HasPassword {
		dst = appendBytes(dst, c.Password)
	}
	return finish(dst, at)
}

func (c *Connect) flags() byte {
	f := flag(c.CleanStart, flagCleanStart) | flag(c.HasUsername, flagUsername) | flag(c.HasPassword, flagPassword)
	if w := c.Will; w != nil {
		f |= flagWill | w.QoS<<shiftWillQoS | flag(w.Retain, flagWillRetain)
	}
	return f
}

func (c *Connect) appendProperties(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if c.SessionExpiry != 0 {
		dst = appendProp32(dst, propSessionExpiry, c.SessionExpiry)
	}
	if c.ReceiveMaximum != 0 && c.ReceiveMaximum != 65535 {
		dst = appendProp16(dst, propReceiveMaximum, c.ReceiveMaximum)
	}
	if c.MaximumPacketSize != 0 {
		dst = appendProp32(dst, propMaximumPacketSize, c.MaximumPacketSize)
	}
	if c.TopicAliasMaximum != 0 {
		dst = appendProp16(dst, propTopicAliasMaximum, c.TopicAliasMaximum)
	}
	if c.RequestResponseInfo {
		dst = appendPropByte(dst, propRequestResponseInfo, 1)
	}
	if !c.RequestProblemInfo {
		dst = appendPropByte(dst, propRequestProblemInfo, 0)
	}
	dst = appendPropText(dst, propAuthMethod, c.AuthenticationMethod)
	if c.HasAuthenticationData {
		dst = appendBytes(append(dst, byte(propAuthData)), c.AuthenticationData)
	}
	return finish(appendUser(dst, c.User), at)
}

func (w *Will) append(dst []byte, v Version) []byte {
	if v >= V5 {
		at := len(dst)
		dst = append(dst, 0)
		if w.Delay != 0 {
			dst = appendProp32(dst, propWillDelay, w.Delay)
		}
		dst = finish(w.Properties.append(dst), at)
	}
	return appendBytes(appendString(dst, w.Topic), w.Payload)
}
