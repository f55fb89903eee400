package mqtt

import (
	"runtime/debug"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// handle takes one packet of the client.
func (c *conn) handle(h packet.Header, body []byte) (err error) {
	defer func() {
		if v := recover(); v != nil { // one client must not stop the others
			c.srv.panicked(c, v, debug.Stack(), body)
			c.abort(End{Cause: CauseInternal})
			c.giveUp(c.in.handing)
			err = errStop
		}
	}()
	if c.session == nil {
		return c.handleConnect(h, body)
	}
	switch h.Type {
	case packet.PUBLISH:
		return c.handlePublish(h.Flags, body)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return c.handleAck(h.Type, body)
	case packet.SUBSCRIBE:
		return c.handleSubscribe(body)
	case packet.UNSUBSCRIBE:
		return c.handleUnsubscribe(body)
	case packet.PINGREQ: // also while the client's window is full [MQTT-4.9.0-3]
		c.mu.Lock()
		if !c.ended {
			c.buffered()
			c.out = packet.AppendPingresp(c.out) // [MQTT-3.12.4-1]
		}
		c.mu.Unlock()
		return nil
	case packet.DISCONNECT:
		return c.handleDisconnect(body)
	case packet.AUTH:
		return c.handleAuth(body)
	case packet.CONNECT: // [MQTT-3.1.0-2]
		return &packet.Error{Reason: packet.ProtocolError, What: "second CONNECT on one connection [MQTT-3.1.0-2]"}
	default:
		return &packet.Error{Reason: packet.ProtocolError, What: h.Type.String() + " is not for a client to send"}
	}
}

// handleAuth refuses: no connection has an authentication method here, since
// a CONNECT with one gets 0x8C. [MQTT-4.12.0-6] [MQTT-4.12.0-7] [MQTT-4.12.1-2]
func (c *conn) handleAuth(body []byte) error {
	var a packet.Auth
	if err := a.Decode(c.version, body); err != nil {
		return err
	}
	return &packet.Error{Reason: packet.ProtocolError, What: "AUTH without an authentication method in CONNECT, section 4.12"}
}

func (c *conn) handleDisconnect(body []byte) error {
	var d packet.Disconnect
	if err := d.Decode(c.version, body); err != nil {
		return err
	}
	s := c.session
	s.mu.Lock()
	if d.SessionExpiry != nil {
		if s.expiry == 0 && *d.SessionExpiry != 0 { // section 3.14.2.2.2
			s.mu.Unlock()
			return &packet.Error{Reason: packet.ProtocolError, What: "DISCONNECT gives an expiry to a session that had none, section 3.14.2.2.2"}
		}
		s.expiry = c.srv.sessionExpiry(*d.SessionExpiry)
	}
	s.mu.Unlock()
	e := End{Cause: CauseDisconnect, Reason: d.Reason, Text: d.ReasonString}
	if d.Reason != packet.Success { // [MQTT-3.14.4-3]: only 0x00 removes the will
		e.Cause = CauseWithWill
	}
	c.stop(e)
	return errStop
}
