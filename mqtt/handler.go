package mqtt

import "github.com/trefoil-iot/trefoil/mqtt/packet"

// Handler gets every PUBLISH (and every will) that the [Authorizer] allowed,
// in the order of its connection, from the goroutine of that connection.
// While HandlePublish blocks, the connection is not read: that is how an
// application pushes back.
//
// The handler, or whoever it gives the message to, calls exactly one of
// [Inbound.Ack] and [Inbound.Forward] exactly once, at any later time, from
// any goroutine, in any order. Until then nothing is acknowledged and nobody
// sees the message. A handler that panics ends the connection, and the
// message is refused; it must not have given the message to anybody then.
type Handler interface {
	HandlePublish(in *Inbound)
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(in *Inbound)

// HandlePublish calls f.
func (f HandlerFunc) HandlePublish(in *Inbound) { f(in) }

// Inbound is one message that a client published. The engine owns it and
// everything in it, and uses it again: it is valid until Ack or Forward is
// called; who needs the payload longer copies it. Topic is an ordinary string
// and may be kept.
type Inbound struct {
	Client     *Client
	Topic      string
	Payload    []byte
	QoS        byte
	Retain     bool
	Dup        bool
	Will       bool // the message is the client's will
	Properties *packet.PublishProperties

	// Changes is what the session store must hold before Ack(Success): the
	// packet identifier of a QoS 2 publish, queue entries of persistent
	// sessions that get the message, a retained message. A handler commits
	// them in the same transaction as its own data, or calls Forward. Mostly
	// it is empty. When the message is refused, they must not be committed.
	// The slice is the engine's and ends with the Inbound; the changes in it
	// may be copied and kept.
	Changes []Change

	inboundState
}

// Ack ends the message. With packet.Success (or packet.NoMatchingSubscribers)
// its Changes are durable and so is what the handler had to store: the
// message goes to the subscribers and the client gets its PUBACK or PUBREC
// with that reason, after those of all messages that came before it on the
// connection. An error reason refuses the message: nobody gets it, nothing of
// it was stored, and text becomes the reason string.
//
// MQTT 3.1.1 cannot refuse. Such a client gets a plain ack for a reason that
// will not change (0x87, 0x90, 0x91, 0x97, 0x99), and a closed connection, so
// that it sends again, for packet.UnspecifiedError and
// packet.ImplementationSpecificError. A 5.0 client gets a reason that an ack
// cannot have as packet.UnspecifiedError.
//
// Ack never blocks on a socket and may be called from a commit loop.
func (in *Inbound) Ack(reason packet.ReasonCode, text string) { in.ack(reason, text) }

// Forward is for messages that the handler has nothing to store for: the
// engine commits the Changes to its own store, and then acks as it does
// without a handler. It never blocks on a socket.
func (in *Inbound) Forward() { in.forward() }
