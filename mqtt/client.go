package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// User is who stands behind a connection, as the [Authenticator] says.
type User struct {
	// Name is the name space of the user's sessions: two users with the same
	// client id have two sessions.
	Name string

	// Service opens $SYS topics to the user.
	Service bool

	// Data is the application's own; the engine only carries it.
	Data any
}

// SessionID is the identity of a session.
type SessionID struct{ User, ClientID string }

func (s SessionID) String() string { return s.User + "/" + s.ClientID }

// Client is what is known of one connection. It does not change after CONNECT
// was accepted and may be kept.
type Client struct {
	Session       SessionID
	User          User
	Version       packet.Version
	RemoteAddr    net.Addr
	KeepAlive     time.Duration // as agreed; 0: none
	SessionExpiry time.Duration // as agreed at CONNECT; Forever: never
	Connected     time.Time
}

// Forever is a session expiry that never comes.
const Forever = time.Duration(1<<63 - 1)

// ConnectRequest is what an [Authenticator] decides about.
type ConnectRequest struct {
	Version     packet.Version
	ClientID    string // "" when the server will assign one
	HasUsername bool
	Username    string
	Password    []byte // valid until Authenticate returns; nil when absent
	RemoteAddr  net.Addr
	TLS         *tls.ConnectionState // nil without TLS
}

// Authenticator decides who may connect. A [Refusal] as error goes to the
// client with its reason; any other error is logged and becomes
// packet.ServerUnavailable. It may block until ctx ends, which is the
// deadline for CONNECT.
type Authenticator interface {
	Authenticate(ctx context.Context, r *ConnectRequest) (User, error)
}

// Refusal is an error that the client may see.
type Refusal struct {
	Reason packet.ReasonCode
	Text   string // becomes the reason string of 5.0
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("mqtt: refused with reason 0x%02x: %s", byte(r.Reason), r.Text)
}

// Action is what an [Authorizer] decides about.
type Action byte

// The actions.
const (
	Publish   Action = 1
	Subscribe Action = 2
)

// Authorizer decides about topics: for every PUBLISH after its alias was
// resolved, for the will at CONNECT, and for every filter of a SUBSCRIBE (of
// a shared subscription the filter behind the group). It is called on the
// way of every message, from many goroutines, and must not block. Topics
// that start with $ never get here: no client may publish to them, and only
// services may subscribe to $SYS.
type Authorizer interface {
	Authorize(c *Client, a Action, topic string) bool
}
