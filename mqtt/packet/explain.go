package packet

// explanation is what an ack may leave out when it would become too large.
type explanation struct {
	reason string
	user   []UserProperty
}

// shorter gives e and its shorter forms, longest first: a receiver gets no
// user properties and then no reason string rather than a packet above its
// Maximum Packet Size, [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.4.2-2],
// [MQTT-3.4.2-3] and the like for the other acks.
func (e explanation) shorter() [3]explanation {
	return [3]explanation{e, {reason: e.reason}, {}}
}

func (e explanation) empty() bool { return e.reason == "" && len(e.user) == 0 }

func (e explanation) append(dst []byte) []byte {
	return appendUser(appendPropText(dst, propReasonString, e.reason), e.user)
}

// within reports whether a packet of n bytes fits into limit; 0 is no limit.
func within(n int, limit uint32) bool { return limit == 0 || uint64(n) <= uint64(limit) }
