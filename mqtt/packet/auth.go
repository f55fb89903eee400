package packet

const authProperties = explainProperties | 1<<propAuthMethod | 1<<propAuthData

// Decode reads the body of an AUTH. Method is empty only in the short form,
// which means success, section 3.15.2.1.
func (a *Auth) Decode(v Version, body []byte) error {
	*a = Auth{}
	if v < V5 {
		return malformed("packet type 15 is reserved in 3.1.1, section 2.2.1")
	}
	if len(body) == 0 {
		return nil
	}
	r := reader{b: body}
	a.Reason = r.reason(AUTH)
	p := r.properties("AUTH", authProperties)
	for p.next() {
		switch p.id {
		case propAuthMethod:
			a.Method = p.string("authentication method")
		case propAuthData:
			a.HasData = true
			a.Data = p.bytes("authentication data")
		default:
			p.explanation(&a.ReasonString, &a.User)
		}
	}
	if p.err == nil && a.Method == "" {
		p.fail(protocolError("AUTH has no authentication method, section 3.15.2.2.2"))
	}
	r.adopt(p.err)
	r.end(AUTH)
	return r.err
}

// Append appends the packet. There is no AUTH in 3.1.1: then nothing is
// appended.
func (a *Auth) Append(dst []byte, v Version) []byte {
	return a.append(dst, v, explanation{a.ReasonString, a.User})
}

// AppendWithin appends the packet in at most limit bytes, see
// [Ack.AppendWithin]; [MQTT-3.15.2-2], [MQTT-3.15.2-3].
func (a *Auth) AppendWithin(dst []byte, v Version, limit uint32) ([]byte, bool) {
	for _, e := range (explanation{a.ReasonString, a.User}).shorter() {
		if out := a.append(dst, v, e); within(len(out)-len(dst), limit) {
			return out, true
		}
	}
	return dst, false
}

func (a *Auth) append(dst []byte, v Version, e explanation) []byte {
	if v < V5 {
		return dst
	}
	at := len(dst) + 1
	dst = begin(dst, AUTH, 0)
	if a.Reason == Success && a.Method == "" && !a.HasData && e.empty() {
		return dst
	}
	dst = append(dst, byte(a.Reason), 0)
	dst = appendPropText(dst, propAuthMethod, a.Method)
	if a.HasData {
		dst = appendBytes(append(dst, byte(propAuthData)), a.Data)
	}
	return finish(finish(e.append(dst), at+2), at)
}
