package mqtt

import (
	"strings"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// handleSubscribe adds subscriptions. The SUBACK waits until they are in the
// store; messages may come before it. [MQTT-3.8.4-1]
func (c *conn) handleSubscribe(body []byte) error {
	var p packet.Subscribe
	if err := p.Decode(c.version, body); err != nil {
		return err
	}
	if len(p.User) > c.srv.limits.UserProperties {
		return &packet.Error{Reason: packet.QuotaExceeded, What: "packet has more user properties than the server allows"}
	}
	ack := &packet.Suback{Type: packet.SUBACK, PacketID: p.PacketID} // [MQTT-3.8.4-2]
	var changes []Change
	var fresh []retainedRequest
	for i := range p.Subscriptions { // [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1]
		record := recordOf(&p.Subscriptions[i], p.SubscriptionID)
		reason := packet.QuotaExceeded
		if !over(i+1, c.srv.limits.Subscriptions) { // the same filter again and again is work too
			reason = c.admitFilter(&record)
		}
		var isNew bool
		if !reason.IsError() {
			isNew, reason = c.session.subscribe(record)
		}
		ack.Reasons = append(ack.Reasons, c.granted(reason))
		if reason.IsError() {
			c.fail("subscription to " + record.Filter + " refused: " + reason.String())
			continue
		}
		if c.session.stored {
			changes = append(changes, Change{Kind: AddSubscription, Session: c.session.id, Subscription: &record})
		}
		fresh = append(fresh, retainedRequest{record, isNew})
	}
	c.answerStored(ack, changes, func() { c.session.sendRetained(fresh) })
	return nil
}

func recordOf(s *packet.Subscription, id uint32) SubscriptionRecord {
	return SubscriptionRecord{
		Filter: s.Filter, QoS: s.QoS, NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished,
		RetainHandling: s.RetainHandling, ID: id,
	}
}

// granted turns a reason into what the client's version has. [MQTT-3.8.4-7]
// [MQTT-3.9.3-2]
func (c *conn) granted(reason packet.ReasonCode) packet.ReasonCode {
	if c.version < packet.V5 && reason.IsError() {
		return packet.UnspecifiedError // 0x80 is the failure of 3.1.1
	}
	return reason
}

// admitFilter bounds and authorises one filter; the reason is the granted QoS
// or an error.
func (c *conn) admitFilter(r *SubscriptionRecord) packet.ReasonCode {
	l := &c.srv.limits
	_, filter, _ := packet.ParseShared(r.Filter)
	switch {
	case len(r.Filter) > l.TopicLength || packet.Levels(filter) > l.TopicLevels:
		return packet.TopicFilterInvalid
	case !c.srv.mayRead(c.client, filter):
		return packet.NotAuthorized
	default:
		return packet.ReasonCode(r.QoS)
	}
}

// mayRead reports whether the client may have a subscription to filter, which
// is that behind the group of a shared one.
func (s *Server) mayRead(client *Client, filter string) bool {
	switch {
	case filter == "$SYS" || strings.HasPrefix(filter, "$SYS/"):
		return client.User.Service
	case strings.HasPrefix(filter, "$"):
		return false
	default:
		return s.cfg.Authorizer == nil || s.cfg.Authorizer.Authorize(client, Subscribe, filter)
	}
}

// subscribe puts a subscription in place, of an earlier one with the same
// filter if there is one; no message falls between them. [MQTT-3.8.4-3]
// [MQTT-3.8.4-4]
func (s *session) subscribe(r SubscriptionRecord) (isNew bool, reason packet.ReasonCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.subs[r.Filter]
	switch {
	case s.gone:
		return false, packet.UnspecifiedError
	case old == nil && over(len(s.subs)+1, s.srv.limits.Subscriptions):
		return false, packet.QuotaExceeded
	}
	if s.subs == nil {
		s.subs = make(map[string]*subscription, 1)
	}
	sub := s.newSubscription(r)
	s.subs[r.Filter] = sub
	s.srv.subs.add(sub, old)
	return old == nil, packet.ReasonCode(r.QoS)
}

func (s *session) newSubscription(r SubscriptionRecord) *subscription {
	group, filter, _ := packet.ParseShared(r.Filter)
	sub := &subscription{SubscriptionRecord: r, session: s, filter: filter, group: group}
	if r.ID != 0 {
		sub.ids = []uint32{r.ID}
	}
	return sub
}

// handleUnsubscribe removes subscriptions. What is queued already is still
// delivered. [MQTT-3.10.4-2] [MQTT-3.10.4-3]
func (c *conn) handleUnsubscribe(body []byte) error {
	var p packet.Unsubscribe
	if err := p.Decode(c.version, body); err != nil {
		return err
	}
	ack := &packet.Suback{Type: packet.UNSUBACK, PacketID: p.PacketID} // [MQTT-3.10.4-4] [MQTT-3.10.4-5]
	var changes []Change
	for _, filter := range p.Filters { // [MQTT-3.10.4-6] [MQTT-3.11.3-1]
		reason := packet.NoSubscriptionExisted
		if c.session.unsubscribe(filter) { // [MQTT-3.10.4-1]
			reason = packet.Success
			if c.session.stored {
				r := &SubscriptionRecord{Filter: filter}
				changes = append(changes, Change{Kind: RemoveSubscription, Session: c.session.id, Subscription: r})
			}
		}
		ack.Reasons = append(ack.Reasons, reason)
	}
	c.answerStored(ack, changes, nil)
	return nil
}

func (s *session) unsubscribe(filter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs[filter]
	if sub == nil {
		return false
	}
	delete(s.subs, filter)
	s.srv.subs.remove(sub)
	s.forgetRetained(filter)
	return true
}

// answerStored sends ack, and then does what follows it, when changes are
// durable. A store that fails costs the connection: the client subscribes
// again.
func (c *conn) answerStored(ack *packet.Suback, changes []Change, then func()) {
	answer := func(err error) {
		if err != nil {
			c.srv.storeFailed(err)
			c.stop(End{Cause: CauseInternal, Reason: packet.UnspecifiedError, Text: "the server could not store the subscription"})
			return
		}
		c.mu.Lock()
		fits := true
		if !c.ended { // [MQTT-2.2.1-6]
			c.buffered()
			c.out, fits = ack.AppendWithin(c.out, c.version, c.maxPacket)
		}
		c.mu.Unlock()
		if !fits {
			c.stop(End{Cause: CauseProtocol, Reason: packet.PacketTooLarge, Text: answerTooLarge})
			return
		}
		if then != nil {
			then()
		}
		c.wake()
	}
	if len(changes) == 0 {
		answer(nil)
		return
	}
	c.srv.store.Commit(changes, answer)
}
