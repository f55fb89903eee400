package broker

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil/mqtt"
)

// subprotocol is what a client of MQTT over WebSocket must ask for
// [MQTT-6.0.0-3].
const subprotocol = "mqtt"

// WebSocket serves MQTT over WebSocket. The MQTT login inside decides who may
// do what; the browser's page may be of any origin, as no cookie counts here.
func (b *Broker) WebSocket() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols:       []string{subprotocol}, // [MQTT-6.0.0-4]
			InsecureSkipVerify: true,                  // of the origin, see above
			CompressionMode:    websocket.CompressionDisabled,
		})
		if err != nil {
			return // Accept has answered
		}
		if c.Subprotocol() != subprotocol {
			c.Close(websocket.StatusPolicyViolation, `the subprotocol "mqtt" is needed`)
			return
		}
		// The engine bounds packets; frames may hold several, or parts of one
		// [MQTT-6.0.0-2].
		c.SetReadLimit(-1)
		// MQTT packets come in binary frames [MQTT-6.0.0-1]; NetConn closes the
		// connection for others.
		conn := websocket.NetConn(context.Background(), c, websocket.MessageBinary)
		b.ServeConn(remote{conn, address{r.RemoteAddr, r.TLS != nil}})
	})
}

// remote is a connection with the address of the HTTP request, which NetConn
// does not know.
type remote struct {
	net.Conn
	address address
}

func (c remote) RemoteAddr() net.Addr { return c.address }

// address is that of a WebSocket.
type address struct {
	text   string
	secure bool
}

func (address) Network() string  { return "tcp" }
func (a address) String() string { return a.text }

// transport is what carries a connection.
type transport string

const (
	overTCP transport = "tcp"
	overTLS transport = "tls"
	overWS  transport = "ws"
	overWSS transport = "wss"
)

func transportOf(r *mqtt.ConnectRequest) transport {
	a, isWebSocket := r.RemoteAddr.(address)
	switch {
	case isWebSocket && a.secure:
		return overWSS
	case isWebSocket:
		return overWS
	case r.TLS != nil:
		return overTLS
	default:
		return overTCP
	}
}
