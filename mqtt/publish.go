package mqtt

import (
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// handlePublish takes a PUBLISH as far as the handler.
func (c *conn) handlePublish(flags byte, body []byte) error {
	in := c.srv.newInbound(c, kindPublish)
	if err := c.decodePublish(in, flags, body); err != nil {
		in.free()
		return err
	}
	c.messagesIn.Add(1)
	c.srv.count.messagesIn.Add(1)
	if err := c.reserve(in); err != nil {
		in.free()
		return err
	}
	if !c.push(in) {
		in.free()
		return errStop
	}
	// The identifier of a QoS 1 publish means nothing any more once it was
	// acked [MQTT-4.3.2-5]; that of QoS 2, until PUBREL.
	in.repeated = in.QoS == 2 && !c.session.receive(in.packetID)
	switch {
	case in.repeated: // [MQTT-4.3.3-10]: not delivered a second time
		in.finish(packet.Success, "")
	case c.refusePublish(in):
	default:
		c.srv.prepare(in)
		c.in.handing = in
		c.srv.handOver(in)
		c.in.handing = nil
	}
	return c.makeRoom()
}

// handOver gives a message to the handler, or to the store where there is
// none.
func (s *Server) handOver(in *Inbound) {
	switch {
	case s.cfg.Handler != nil:
		s.cfg.Handler.HandlePublish(in)
	case len(in.Changes) == 0:
		in.auto = true
		in.finish(packet.Success, "")
	default:
		in.forward()
	}
}

// makeRoom serves the connection when its list is full, and waits while it
// stays so.
func (c *conn) makeRoom() error {
	c.mu.Lock()
	full := c.overfull()
	c.mu.Unlock()
	if !full {
		return nil
	}
	c.serveNow()
	return c.waitToRead()
}

// decodePublish fills in. What aliases the read buffer is copied.
func (c *conn) decodePublish(in *Inbound, flags byte, body []byte) error {
	p := &in.pkt
	if err := p.Decode(c.version, flags, body); err != nil {
		return err
	}
	if len(p.SubscriptionIDs) > 0 { // [MQTT-3.3.4-6]
		return &packet.Error{Reason: packet.ProtocolError, What: "PUBLISH of a client has a subscription identifier [MQTT-3.3.4-6]"}
	}
	if err := c.checkBounds(p.Topic, p.Properties.User); err != nil {
		return err
	}
	topic, err := c.resolveTopic(p)
	if err != nil {
		return err
	}
	in.buf = append(in.buf[:0], p.Payload...)
	p.Properties.CorrelationData = slices.Clone(p.Properties.CorrelationData)
	in.Client, in.topic, in.Topic, in.Payload = c.client, topic, topic.name, in.buf
	in.QoS, in.Retain, in.Dup, in.packetID = p.QoS, p.Retain, p.Dup, p.PacketID
	in.Properties = &p.Properties
	p.Topic, p.Payload = nil, nil
	return nil
}

// resolveTopic gives the topic of p, by its alias if it has one. Every alias up
// to the announced maximum is taken, and lives as long as the connection.
// [MQTT-3.3.2-7] [MQTT-3.3.2-12]
func (c *conn) resolveTopic(p *packet.Publish) (*topicName, error) {
	r := &c.in
	if p.TopicAlias == 0 {
		if r.topic == nil || r.topic.name != string(p.Topic) {
			r.topic = &topicName{name: string(p.Topic)}
		}
		return r.topic, nil
	}
	limit := c.srv.limits.TopicAliases
	if int(p.TopicAlias) > limit { // [MQTT-3.3.2-9]
		return nil, &packet.Error{Reason: packet.TopicAliasInvalid, What: "topic alias is above the announced maximum [MQTT-3.3.2-9]"}
	}
	if r.aliases == nil {
		r.aliases = make([]*topicName, limit+1)
	}
	known := r.aliases[p.TopicAlias]
	if len(p.Topic) == 0 {
		if known == nil {
			return nil, &packet.Error{Reason: packet.ProtocolError, What: "topic alias was not set before, section 3.3.2.3.4"}
		}
		return known, nil
	}
	if known == nil || known.name != string(p.Topic) {
		known = &topicName{name: string(p.Topic)}
		r.aliases[p.TopicAlias] = known
	}
	return known, nil
}

// checkBounds tests lengths before any work is done.
func (c *conn) checkBounds(topic []byte, user []packet.UserProperty) error {
	l := &c.srv.limits
	if len(topic) > l.TopicLength || countLevels(topic) > l.TopicLevels {
		return &packet.Error{Reason: packet.TopicNameInvalid, What: "topic is longer or has more levels than the server allows"}
	}
	if len(user) > l.UserProperties {
		return &packet.Error{Reason: packet.QuotaExceeded, What: "packet has more user properties than the server allows"}
	}
	return nil
}

func countLevels(topic []byte) int {
	n := 1
	for _, b := range topic {
		if b == '/' {
			n++
		}
	}
	return n
}

// reserve counts a QoS 1 or 2 publish against the receive maximum. A 3.1.1
// client does not know one, and is not read while too much is pending.
func (c *conn) reserve(in *Inbound) error {
	if in.QoS == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version >= packet.V5 && c.quota >= c.srv.limits.ReceiveMaximum { // [MQTT-3.3.4-7]
		return &packet.Error{Reason: packet.ReceiveMaximumExceeded, What: "more messages in flight than the announced receive maximum [MQTT-3.3.4-7]"}
	}
	c.quota++
	in.counted = true
	return nil
}

// refusePublish answers a publish that does not get to the handler.
func (c *conn) refusePublish(in *Inbound) bool {
	a := c.srv.cfg.Authorizer
	switch {
	case strings.HasPrefix(in.Topic, "$"): // a plain ack for 3.1.1 [MQTT-3.3.5-2 of 3.1.1]
		c.refuseAs(in, DropUnauthorized, packet.NotAuthorized, "topics that begin with $ belong to the server")
	case a != nil && !a.Authorize(c.client, Publish, in.Topic):
		c.refuseAs(in, DropUnauthorized, packet.NotAuthorized, "not allowed to publish to this topic")
	case in.Properties.PayloadFormat == 1 && !validUTF8(in.Payload): // section 3.3.2.3.2
		c.refuseAs(in, DropInvalid, packet.PayloadFormatInvalid, "payload is not the UTF-8 that its format indicator says")
	case c.overRate(in):
		c.refuseAs(in, DropRate, packet.QuotaExceeded, "more messages or bytes per second than the server allows")
	case in.Retain && len(in.Payload) > 0 && !c.srv.retained.room(in.keep(), &c.srv.limits):
		c.refuseAs(in, DropRetained, packet.QuotaExceeded, "no room for more retained messages")
	default:
		return false
	}
	return true
}

func (c *conn) refuseAs(in *Inbound, why DropReason, reason packet.ReasonCode, text string) {
	c.srv.drop(Drop{
		Session: c.client.Session, Inbound: true, Reason: why,
		Topic: in.Topic, QoS: in.QoS, Payload: in.Payload,
	})
	in.finish(reason, text)
}

// overRate spends the client's rates. A 3.1.1 client that sends QoS 1 or 2
// cannot be told, so it waits instead: its socket is not read.
func (c *conn) overRate(in *Inbound) bool {
	l := &c.srv.limits
	if l.MessageRate <= 0 && l.ByteRate <= 0 {
		return false
	}
	now := time.Now()
	if c.in.rate == nil {
		c.in.rate, c.in.volume = newBucket(l.MessageRate, now), newBucket(l.ByteRate, now)
	}
	if c.version >= packet.V5 || in.QoS == 0 {
		return !c.in.rate.take(1, now) || !c.in.volume.take(len(in.Payload), now)
	}
	wait := max(c.in.rate.owe(1, now), c.in.volume.owe(len(in.Payload), now))
	if wait > 0 {
		waitFor(c.srv.ctx, wait)
	}
	return false
}
