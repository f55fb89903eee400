package mqtt

import (
	"context"
	"net"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

type inboundState struct{}

func (in *Inbound) ack(reason packet.ReasonCode, text string) {}
func (in *Inbound) forward()                                  {}

// Server is an MQTT server. It is made by [New].
type Server struct{}

// New makes a server and loads what its store holds. The error is that of the
// store.
func New(ctx context.Context, cfg Config) (*Server, error) { return &Server{}, nil }

// Serve accepts connections from l until l is closed or Shutdown is called;
// then it returns nil. Connections that are TLS, by a listener of crypto/tls,
// are recognised. Several listeners may be served at once.
func (s *Server) Serve(l net.Listener) error { return nil }

// ServeConn serves one connection that somebody else accepted, such as a
// WebSocket, and returns when it has ended. It closes the connection.
func (s *Server) ServeConn(c net.Conn) {}

// Publish routes a message of the server's own; the authoriser is not asked
// and the handler not called. Topics below $SYS are not for it. m must not be
// changed afterwards; m.Created may be zero for now. done, which may be nil,
// is called exactly once: with nil when every persistent session that gets
// the message has it in the store (and the retained message is there), or
// with the error of the store; possibly before Publish returns.
func (s *Server) Publish(m *Message, done func(error)) {}

// Disconnect ends the connections for which match is true: 5.0 clients get
// DISCONNECT with the reason and text. Their wills are published. It returns
// how many there were, and does not wait for their sockets.
func (s *Server) Disconnect(match func(*Client) bool, reason packet.ReasonCode, text string) int {
	return 0
}

// Clients gives a snapshot of all connections, in no order.
func (s *Server) Clients() []ClientStats { return nil }

// Stats gives a snapshot of the server.
func (s *Server) Stats() Stats { return Stats{} }

// Shutdown stops the server: no connection is accepted, none is read any
// more; what was received is acked and written; then connections are closed,
// 5.0 clients get DISCONNECT 0x8B; no will is published. It returns when every
// goroutine of the server has ended. When ctx ends before, it closes what is
// left at once and returns the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error { return nil }
