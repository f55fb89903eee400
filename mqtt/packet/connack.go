package packet

const connackProperties = explainProperties | 1<<propSessionExpiry | 1<<propReceiveMaximum | 1<<propMaximumQoS |
	1<<propRetainAvailable | 1<<propMaximumPacketSize | 1<<propAssignedClientID | 1<<propTopicAliasMaximum |
	1<<propWildcardAvailable | 1<<propSubscriptionIDsAvail | 1<<propSharedAvailable | 1<<propServerKeepAlive |
	1<<propResponseInformation | 1<<propServerReference | 1<<propAuthMethod | 1<<propAuthData

// Decode reads the body of a CONNACK.
func (c *Connack) Decode(v Version, body []byte) error {
	*c = Connack{}
	r := reader{b: body}
	flags := r.byte("acknowledge flags")
	if flags > 1 {
		r.fail(malformed("CONNACK has reserved flags [MQTT-3.2.2-1]"))
	}
	c.SessionPresent = flags == 1
	if v < V5 {
		code := r.byte("return code")
		if int(code) >= len(connackReasonV311) {
			r.fail(protocolError("return code of CONNACK is reserved, section 3.2.2.3 of 3.1.1"))
			return r.err
		}
		c.Reason = ReasonCode(connackReasonV311[code])
	} else {
		c.Reason = r.reason(CONNACK)
		c.readProperties(&r)
	}
	r.end(CONNACK)
	if r.err == nil && c.SessionPresent && c.Reason != Success {
		r.fail(protocolError("CONNACK has an error and session present [MQTT-3.2.2-6]"))
	}
	return r.err
}

func (c *Connack) readProperties(r *reader) {
	p := r.properties("CONNACK", connackProperties)
	for p.next() {
		c.readProperty(&p)
	}
	if p.err == nil && p.has(propAuthData) && c.AuthenticationMethod == "" {
		p.fail(protocolError("CONNACK has authentication data without a method, section 3.2.2.3.18"))
	}
	r.adopt(p.err)
}

func (c *Connack) readProperty(p *propertyReader) {
	switch p.id {
	case propSessionExpiry:
		c.SessionExpiry = ptr(p.uint32("session expiry interval"))
	case propReceiveMaximum:
		c.ReceiveMaximum = p.nonZero16("receive maximum") // section 3.2.2.3.3
	case propMaximumQoS:
		c.MaximumQoS = ptr(flag(p.bool("maximum QoS"), 1)) // section 3.2.2.3.4
	case propRetainAvailable:
		c.RetainAvailable = ptr(p.bool("retain available"))
	case propMaximumPacketSize:
		c.MaximumPacketSize = p.nonZero32("maximum packet size") // section 3.2.2.3.6
	case propAssignedClientID:
		c.AssignedClientID = p.string("assigned client identifier")
	case propTopicAliasMaximum:
		c.TopicAliasMaximum = p.uint16("topic alias maximum")
	case propWildcardAvailable:
		c.WildcardAvailable = ptr(p.bool("wildcard subscription available"))
	case propSubscriptionIDsAvail:
		c.SubscriptionIDs = ptr(p.bool("subscription identifiers available"))
	case propSharedAvailable:
		c.SharedAvailable = ptr(p.bool("shared subscription available"))
	case propServerKeepAlive:
		c.ServerKeepAlive = ptr(p.uint16("server keep alive"))
	case propResponseInformation:
		c.ResponseInformation = p.string("response information")
	case propServerReference:
		c.ServerReference = p.string("server reference")
	case propAuthMethod:
		c.AuthenticationMethod = p.string("authentication method")
	case propAuthData:
		c.AuthenticationData = p.bytes("authentication data")
	default:
		p.explanation(&c.ReasonString, &c.User)
	}
}

// Append appends the packet. For 3.1.1 a reason that [ReasonCode.V311] does
// not know becomes 3, server unavailable; better not to send it at all.
func (c *Connack) Append(dst []byte, v Version) []byte {
	return c.append(dst, v, explanation{c.ReasonString, c.User})
}

// AppendWithin appends the packet in at most limit bytes, see
// [Ack.AppendWithin]; [MQTT-3.2.2-19], [MQTT-3.2.2-20].
func (c *Connack) AppendWithin(dst []byte, v Version, limit uint32) ([]byte, bool) {
	for _, e := range (explanation{c.ReasonString, c.User}).shorter() {
		if out := c.append(dst, v, e); within(len(out)-len(dst), limit) {
			return out, true
		}
	}
	return dst, false
}

func (c *Connack) append(dst []byte, v Version, e explanation) []byte {
	present := flag(c.SessionPresent && !c.Reason.IsError(), 1) // [MQTT-3.2.2-6]
	if v < V5 {
		code, ok := c.Reason.V311()
		if !ok {
			code = 3
		}
		return append(dst, byte(CONNACK)<<4, 2, present, code)
	}
	at := len(dst) + 1
	dst = append(begin(dst, CONNACK, 0), present, byte(c.Reason), 0)
	dst = c.appendLimits(dst)
	dst = appendPropText(dst, propAssignedClientID, c.AssignedClientID)
	dst = appendPropText(dst, propResponseInformation, c.ResponseInformation)
	dst = appendPropText(dst, propServerReference, c.ServerReference)
	dst = appendPropText(dst, propAuthMethod, c.AuthenticationMethod)
	if c.AuthenticationData != nil {
		dst = appendBytes(append(dst, byte(propAuthData)), c.AuthenticationData)
	}
	return finish(finish(e.append(dst), at+3), at)
}

func (c *Connack) appendLimits(dst []byte) []byte {
	if c.SessionExpiry != nil {
		dst = appendProp32(dst, propSessionExpiry, *c.SessionExpiry)
	}
	if c.ReceiveMaximum != 0 {
		dst = appendProp16(dst, propReceiveMaximum, c.ReceiveMaximum)
	}
	if c.MaximumQoS != nil {
		dst = appendPropByte(dst, propMaximumQoS, *c.MaximumQoS)
	}
	dst = appendPropBool(dst, propRetainAvailable, c.RetainAvailable)
	if c.MaximumPacketSize != 0 {
		dst = appendProp32(dst, propMaximumPacketSize, c.MaximumPacketSize)
	}
	if c.TopicAliasMaximum != 0 {
		dst = appendProp16(dst, propTopicAliasMaximum, c.TopicAliasMaximum)
	}
	dst = appendPropBool(dst, propWildcardAvailable, c.WildcardAvailable)
	dst = appendPropBool(dst, propSubscriptionIDsAvail, c.SubscriptionIDs)
	dst = appendPropBool(dst, propSharedAvailable, c.SharedAvailable)
	if c.ServerKeepAlive != nil {
		dst = appendProp16(dst, propServerKeepAlive, *c.ServerKeepAlive)
	}
	return dst
}
