package mqtt

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// handleConnect takes the first packet: who is it, may it, and which session
// is it for.
func (c *conn) handleConnect(h packet.Header, body []byte) error {
	var p packet.Connect
	err := p.Decode(body)
	if err == nil {
		err = h.Check(p.Version)
	}
	var fault *packet.Error
	if errors.As(err, &fault) {
		return c.refuseConnect(&p, fault.Reason, fault.What)
	}
	if c.overload != packet.Success {
		return c.refuseConnect(&p, c.overload, "the server has too many connections")
	}
	if p.AuthenticationMethod != "" { // [MQTT-4.12.0-1]
		return c.refuseConnect(&p, packet.BadAuthenticationMethod, "no authentication method is supported")
	}
	if len(p.User) > c.srv.limits.UserProperties {
		return c.refuseConnect(&p, packet.QuotaExceeded, "CONNECT has more user properties than the server allows")
	}
	if len(p.ClientID) > maxClientID { // [MQTT-3.1.3-8]
		return c.refuseConnect(&p, packet.ClientIdentifierNotValid, "the client identifier is longer than the server allows")
	}
	user, err := c.authenticate(&p)
	if err != nil {
		return c.refuseLogin(&p, err)
	}
	return c.accept(&p, user)
}

// maxClientID bounds client identifiers; 23 bytes must be taken, of any
// characters here. [MQTT-3.1.3-5]
const maxClientID = 1024

func (c *conn) authenticate(p *packet.Connect) (User, error) {
	a := c.srv.cfg.Authenticator
	if a == nil {
		return User{}, nil
	}
	ctx, cancel := context.WithTimeout(c.srv.ctx, c.srv.limits.ConnectTimeout)
	defer cancel()
	return a.Authenticate(ctx, &ConnectRequest{
		Version: p.Version, ClientID: p.ClientID, HasUsername: p.HasUsername, Username: p.Username,
		Password: p.Password, RemoteAddr: c.net.RemoteAddr(), TLS: c.tlsState(),
	})
}

// refuseLogin answers late, and later for every failure from the address: a
// guesser waits, and a fleet with a wrong password does not burn the server.
func (c *conn) refuseLogin(p *packet.Connect, err error) error {
	var r *Refusal
	if !errors.As(err, &r) {
		c.srv.log.Error("mqtt: login could not be decided", "error", err, "client_id", p.ClientID, "user", p.Username)
		return c.refuseConnect(p, packet.ServerUnavailable, "login could not be decided now")
	}
	c.srv.count.badLogins.Add(1)
	waitFor(c.srv.ctx, c.srv.addresses.failed(c.address, time.Now(), c.srv.limits.LoginDelay))
	return c.refuseConnect(p, r.Reason, r.Text)
}

// refuseConnect answers a CONNECT with an error and closes; nothing behind it
// is handled. What has no return code in 3.1.1 gets no answer there.
// [MQTT-3.1.4-1] [MQTT-3.1.4-2] [MQTT-3.1.4-6] [MQTT-3.2.2-7] [MQTT-4.12.0-4]
// [MQTT-4.13.2-1]
func (c *conn) refuseConnect(p *packet.Connect, reason packet.ReasonCode, text string) error {
	if !reason.IsError() || !reason.AllowedIn(packet.CONNACK) { // the authenticator's own [MQTT-3.2.2-8]
		reason = packet.UnspecifiedError
	}
	c.srv.refused(Refused{
		RemoteAddr: c.net.RemoteAddr(), ClientID: p.ClientID, Username: p.Username, Reason: reason, Text: text,
	})
	_, known := reason.V311()
	if p.Version >= packet.V5 || p.Version == packet.V311 && known {
		ack := packet.Connack{Reason: reason}
		if p.RequestProblemInfo { // allowed in CONNACK anyhow, and asked for by most
			ack.ReasonString = text
		}
		c.mu.Lock()
		c.buffered()
		c.out, _ = ack.AppendWithin(c.out, p.Version, p.MaximumPacketSize)
		c.mu.Unlock()
	}
	c.stop(End{Cause: CauseProtocol, Reason: reason, Text: text})
	return errStop
}

// accept makes the connection of an authenticated client.
func (c *conn) accept(p *packet.Connect, user User) error {
	assigned := ""
	if p.ClientID == "" { // [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
		assigned = "auto-" + strings.ToLower(rand.Text())
		p.ClientID = assigned
	}
	s := c.srv
	c.client = &Client{
		Session: SessionID{User: user.Name, ClientID: p.ClientID}, User: user, Version: p.Version,
		RemoteAddr: c.net.RemoteAddr(), KeepAlive: s.keepAlive(p.KeepAlive), Connected: s.now(),
		SessionExpiry: s.connectExpiry(p),
	}
	if reason, text := s.checkWill(c.client, p.Will); reason.IsError() {
		return c.refuseConnect(p, reason, text)
	}
	c.agree(p)
	will, delay := s.willMessage(p.Will)
	session, present, err := s.attach(c, p.CleanStart, will, delay)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return c.refuseConnect(p, refusal.Reason, refusal.Text)
	}
	if err != nil {
		return err
	}
	return s.open(c, session, c.connack(p, assigned, present))
}

// open lets a connection live, unless the next one of its session came first.
// The lock keeps what the observer hears in order. The one CONNACK is the
// first packet. [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.0-2]
func (s *Server) open(c *conn, session *session, ack packet.Connack) error {
	life := s.lives.of(session.id)
	life.Lock()
	defer life.Unlock()
	if c.finished {
		return errStop
	}
	c.mu.Lock()
	c.buffered()
	c.out, c.open = ack.AppendWithin(c.out, c.version, c.maxPacket)
	fits := c.open
	c.mu.Unlock()
	if !fits { // a client that takes no CONNACK could not know what was agreed
		c.stop(End{Cause: CauseProtocol, Reason: packet.PacketTooLarge, Text: answerTooLarge})
		return errStop
	}
	session.online.Store(true)
	s.addresses.succeeded(c.address)
	s.connected(c, ack.SessionPresent)
	return nil
}

// agree sets what the client asked for.
func (c *conn) agree(p *packet.Connect) {
	l := &c.srv.limits
	c.version, c.problems = p.Version, p.RequestProblemInfo
	c.window = min(int(p.ReceiveMaximum), l.InflightOut) // [MQTT-3.3.4-9] [MQTT-4.9.0-1]
	c.maxPacket = p.MaximumPacketSize
	c.aliasMax = min(p.TopicAliasMaximum, uint16(l.TopicAliases))
	c.silence = c.client.KeepAlive + c.client.KeepAlive/2 // [MQTT-3.1.2-22]
}

// connack announces every limit that the protocol has a place for.
func (c *conn) connack(p *packet.Connect, assigned string, present bool) packet.Connack {
	ack := packet.Connack{SessionPresent: present} // [MQTT-3.2.2-2] [MQTT-3.2.2-3]
	if p.Version < packet.V5 {
		return ack
	}
	l := &c.srv.limits
	ack.AssignedClientID = assigned // no response information [MQTT-3.1.2-28], no method [MQTT-4.12.0-6]
	ack.ReceiveMaximum = uint16(l.ReceiveMaximum)
	ack.MaximumPacketSize = uint32(l.PacketSize)
	ack.TopicAliasMaximum = uint16(l.TopicAliases)
	if expiry := seconds(c.client.SessionExpiry); expiry != p.SessionExpiry {
		ack.SessionExpiry = &expiry
	}
	if keep := uint16(c.client.KeepAlive / time.Second); keep != p.KeepAlive { // [MQTT-3.1.2-21]
		ack.ServerKeepAlive = &keep
	}
	return ack
}

// keepAlive gives the time that holds when the client asked for some seconds.
func (s *Server) keepAlive(asked uint16) time.Duration {
	d := time.Duration(asked) * time.Second
	if longest := s.limits.KeepAlive; longest > 0 && (d == 0 || d > longest) {
		return longest
	}
	return d // [MQTT-3.2.2-22]
}

// neverExpires is the session expiry of 5.0 that never comes.
const neverExpires = 0xFFFFFFFF

// connectExpiry gives the session expiry that holds for p. In 3.1.1 a session
// is either clean or has no end, which here is the longest that is allowed.
func (s *Server) connectExpiry(p *packet.Connect) time.Duration {
	switch {
	case p.Version >= packet.V5:
		return s.sessionExpiry(p.SessionExpiry)
	case p.CleanStart:
		return 0
	default:
		return s.sessionExpiry(neverExpires)
	}
}

func (s *Server) sessionExpiry(asked uint32) time.Duration {
	d := time.Duration(asked) * time.Second
	if asked == neverExpires {
		d = Forever
	}
	if longest := s.limits.SessionExpiry; longest > 0 {
		d = min(d, longest)
	}
	return d
}

func seconds(d time.Duration) uint32 {
	if d == Forever {
		return neverExpires
	}
	return uint32(d / time.Second)
}

// checkWill lets a will pass what a publish has to pass.
func (s *Server) checkWill(client *Client, w *packet.Will) (packet.ReasonCode, string) {
	if w == nil {
		return packet.Success, ""
	}
	a, l := s.cfg.Authorizer, &s.limits
	switch {
	case len(w.Topic) > l.TopicLength || packet.Levels(w.Topic) > l.TopicLevels:
		return packet.TopicNameInvalid, "topic of the will is longer or has more levels than the server allows"
	case len(w.Properties.User) > l.UserProperties:
		return packet.QuotaExceeded, "will has more user properties than the server allows"
	case strings.HasPrefix(w.Topic, "$"):
		return packet.NotAuthorized, "will is for a topic that belongs to the server"
	case a != nil && !a.Authorize(client, Publish, w.Topic):
		return packet.NotAuthorized, "not allowed to publish to the topic of the will"
	case w.Properties.PayloadFormat == 1 && !validUTF8(w.Payload):
		return packet.PayloadFormatInvalid, "payload of the will is not the UTF-8 that its format indicator says"
	default:
		return packet.Success, ""
	}
}

// answerTooLarge ends a connection whose client takes no packet of the size
// of an answer that it asked for.
const answerTooLarge = "the answer is larger than the packets that the client takes"

// willMessage copies a will out of the read buffer: its QoS, whether it is
// retained, its properties in their order. [MQTT-3.1.2-7] [MQTT-3.1.2-9]
// [MQTT-3.1.3-10]
func (s *Server) willMessage(w *packet.Will) (*Message, time.Duration) {
	if w == nil {
		return nil, 0
	}
	m := &Message{Topic: w.Topic, Payload: slices.Clone(w.Payload), QoS: w.QoS, Retain: w.Retain, Properties: w.Properties}
	m.Properties.CorrelationData = slices.Clone(w.Properties.CorrelationData)
	return m, time.Duration(w.Delay) * time.Second
}
