package packet

// read takes the value of the property that p is at, if it is one of a
// message.
func (m *PublishProperties) read(p *propertyReader) {
	switch p.id {
	case propPayloadFormat:
		if p.bool("payload format indicator") {
			m.PayloadFormat = 1
		}
	case propMessageExpiry:
		m.MessageExpiry = ptr(p.uint32("message expiry interval"))
	case propContentType:
		m.ContentType = p.string("content type")
		m.EmptyContent = m.ContentType == ""
	case propResponseTopic:
		topic := p.text("response topic")
		if e := checkTopic(topic); e != nil && p.err == nil { // [MQTT-3.3.2-13], [MQTT-3.3.2-14]
			p.fail(&Error{Reason: e.Reason, What: "response topic: " + e.What})
		}
		m.ResponseTopic = string(topic)
	case propCorrelationData:
		m.CorrelationData = p.bytes("correlation data")
	case propUser:
		p.user(&m.User)
	}
}

// size is the number of bytes that append adds.
func (m *PublishProperties) size() int {
	n := 0
	if m.PayloadFormat != 0 {
		n += 2
	}
	if m.MessageExpiry != nil {
		n += 5
	}
	if m.ContentType != "" || m.EmptyContent {
		n += 1 + fieldSize(len(m.ContentType))
	}
	if m.ResponseTopic != "" {
		n += 1 + fieldSize(len(m.ResponseTopic))
	}
	if m.CorrelationData != nil {
		n += 1 + fieldSize(len(m.CorrelationData))
	}
	for i := range m.User {
		n += 1 + fieldSize(len(m.User[i].Name)) + fieldSize(len(m.User[i].Value))
	}
	return n
}

// append writes the properties as they came: [MQTT-3.3.2-4], [MQTT-3.3.2-15],
// [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20]. A payload format of 0 is
// the same as none, section 3.3.2.3.2, and is left out.
func (m *PublishProperties) append(dst []byte) []byte {
	if m.PayloadFormat != 0 {
		dst = appendPropByte(dst, propPayloadFormat, m.PayloadFormat)
	}
	if m.MessageExpiry != nil {
		dst = appendProp32(dst, propMessageExpiry, *m.MessageExpiry)
	}
	if m.EmptyContent && m.ContentType == "" {
		dst = append(dst, byte(propContentType), 0, 0)
	}
	dst = appendPropText(dst, propContentType, m.ContentType)
	dst = appendPropText(dst, propResponseTopic, m.ResponseTopic)
	if m.CorrelationData != nil {
		dst = appendBytes(append(dst, byte(propCorrelationData)), m.CorrelationData)
	}
	return appendUser(dst, m.User)
}

// check tests what the application may have got wrong.
func (m *PublishProperties) check() *Error {
	switch {
	case m.PayloadFormat > 1:
		return protocolError("payload format indicator is neither 0 nor 1, section 3.3.2.3.2")
	case len(m.ContentType) > maxField || !validText([]byte(m.ContentType)):
		return malformed("content type is too long or not UTF-8 [MQTT-3.3.2-19]")
	case len(m.CorrelationData) > maxField:
		return malformed("correlation data has more than 65535 bytes, section 1.5.6")
	}
	for _, u := range m.User {
		if len(u.Name) > maxField || len(u.Value) > maxField || !validText([]byte(u.Name)) || !validText([]byte(u.Value)) {
			return malformed("user property is too long or not UTF-8, section 1.5.7")
		}
	}
	if m.ResponseTopic != "" {
		return checkTopic([]byte(m.ResponseTopic))
	}
	return nil
}

func fieldSize(n int) int { return 2 + min(n, maxField) }

func ptr[T any](v T) *T { return &v }
