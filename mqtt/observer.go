package mqtt

import (
	"net"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Observer is told what happens. Every function is optional, is called from
// many goroutines and must not block. For one session Connected and
// Disconnected alternate: of a connection that takes another one over,
// Disconnected of the old comes before Connected of the new. They are called
// under the lock that keeps this order, so they may call [Server.Publish], but
// not [Server.Forget].
type Observer struct {
	// Connected: CONNECT was accepted.
	Connected func(c *Client, sessionPresent bool)

	// Disconnected: the connection ended.
	Disconnected func(c *Client, e End)

	// Refused: a connection ended before CONNECT was accepted.
	Refused func(r Refused)

	// Dropped: a message did not reach the server or a session.
	Dropped func(d Drop)

	// Delivered: a client acknowledged a QoS 1 or 2 message (PUBACK, PUBREC).
	// reason is an error when the client refused it.
	Delivered func(c *Client, m *Message, reason packet.ReasonCode)

	// Panic: a connection panicked over this packet and was closed. The
	// engine has logged it. stack and packet are valid during the call.
	Panic func(c *Client, value any, stack, packet []byte)
}

// Cause says in one word why a connection ended.
type Cause string

// The causes.
const (
	CauseDisconnect Cause = "disconnect"      // the client said goodbye
	CauseWithWill   Cause = "disconnect_will" // DISCONNECT 0x04
	CauseLost       Cause = "lost"            // the socket ended
	CauseKeepAlive  Cause = "keepalive"       // nothing came for 1.5 times the keep alive
	CauseTakenOver  Cause = "taken_over"      // the same session connected again
	CauseKicked     Cause = "kicked"          // Server.Disconnect
	CauseProtocol   Cause = "protocol"        // the client broke the protocol; Reason says how
	CauseSlow       Cause = "slow"            // it did not read: write deadline or full queue
	CauseShutdown   Cause = "shutdown"        // Server.Shutdown
	CauseInternal   Cause = "internal"        // our fault, see the log
)

// End is how a connection ended.
type End struct {
	Cause  Cause
	Reason packet.ReasonCode // as sent to a 5.0 client, or received with DISCONNECT
	Text   string            // more for people, or ""
}

// Refused is a connection that did not get through CONNECT.
type Refused struct {
	RemoteAddr net.Addr
	ClientID   string
	Username   string
	Reason     packet.ReasonCode
	Text       string
}

// DropReason says why a message was dropped.
type DropReason string

// The reasons.
const (
	DropSlow         DropReason = "slow_consumer"  // QoS 0, the connection's buffer is full
	DropQueueFull    DropReason = "queue_full"     // the oldest message of a session's queue
	DropExpired      DropReason = "expired"        // message expiry passed in the queue
	DropTooLarge     DropReason = "too_large"      // above the client's maximum packet size
	DropRate         DropReason = "rate_limit"     // a publisher above its rate
	DropUnauthorized DropReason = "not_authorized" // the authoriser said no to a publish
	DropInvalid      DropReason = "invalid"        // topic or payload format of a publish
	DropRetained     DropReason = "retained_full"  // no room for another retained message
	DropLost         DropReason = "lost"           // the store does not have it any more
)

// Drop is a message, or several, that did not go on.
type Drop struct {
	Session SessionID // whose message it was, or for whom it was
	Inbound bool      // it came from the session; else it was on its way to it
	Reason  DropReason
	Topic   string // "" when it is not in memory any more
	QoS     byte
	Payload []byte // of an inbound one, valid during the call
	Count   int    // how many, when there are several; 0 stands for one
}
