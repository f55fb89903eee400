package packet

const disconnectProperties = explainProperties | 1<<propSessionExpiry | 1<<propServerReference

// Decode reads the body of a DISCONNECT.
func (d *Disconnect) Decode(v Version, body []byte) error {
	*d = Disconnect{}
	r := reader{b: body}
	if v < V5 || len(body) == 0 { // short form: normal disconnection, section 3.14.2.1
		r.end(DISCONNECT)
		return r.err
	}
	d.Reason = r.reason(DISCONNECT)
	if len(body) == 1 { // no property length, section 3.14.2.2.1
		return r.err
	}
	p := r.properties("DISCONNECT", disconnectProperties)
	for p.next() {
		switch p.id {
		case propSessionExpiry:
			d.SessionExpiry = ptr(p.uint32("session expiry interval"))
		case propServerReference:
			d.ServerReference = p.string("server reference")
		default:
			p.explanation(&d.ReasonString, &d.User)
		}
	}
	r.adopt(p.err)
	r.end(DISCONNECT)
	return r.err
}

// Append appends the packet. In 3.1.1 only a client sends it, and it says
// nothing but goodbye.
func (d *Disconnect) Append(dst []byte, v Version) []byte {
	return d.append(dst, v, explanation{d.ReasonString, d.User})
}

// AppendWithin appends the packet in at most limit bytes, see
// [Ack.AppendWithin]; [MQTT-3.14.2-3], [MQTT-3.14.2-4].
func (d *Disconnect) AppendWithin(dst []byte, v Version, limit uint32) ([]byte, bool) {
	for _, e := range (explanation{d.ReasonString, d.User}).shorter() {
		if out := d.append(dst, v, e); within(len(out)-len(dst), limit) {
			return out, true
		}
	}
	return dst, false
}

func (d *Disconnect) append(dst []byte, v Version, e explanation) []byte {
	at := len(dst) + 1
	dst = begin(dst, DISCONNECT, 0)
	bare := e.empty() && d.SessionExpiry == nil && d.ServerReference == ""
	switch {
	case v < V5 || bare && d.Reason == Success:
		return dst
	case bare:
		return finish(append(dst, byte(d.Reason)), at)
	}
	dst = append(dst, byte(d.Reason), 0)
	if d.SessionExpiry != nil { // of a client alone [MQTT-3.14.2-2]
		dst = appendProp32(dst, propSessionExpiry, *d.SessionExpiry)
	}
	dst = appendPropText(dst, propServerReference, d.ServerReference)
	return finish(finish(e.append(dst), at+2), at)
}
