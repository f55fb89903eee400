package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// identity is who logs in, and how.
type identity struct {
	clientID, user, password string
	version                  packet.Version
}

// link is one connection of a client.
type link struct {
	*net.TCPConn
	r       *bufio.Reader
	version packet.Version
	present bool        // the server found a session
	window  int         // messages that the server takes in flight
	silent  atomic.Bool // the client has given the connection up, and the server does not know

	mu    sync.Mutex
	out   []byte
	ended chan struct{} // closed when nothing more can be read
}

// patience is how long a client waits for a packet of a living server.
const patience = 30 * time.Second

// errRefused means that the server has answered CONNECT with an error.
var errRefused = errors.New("CONNECT refused")

// dial connects with a session that outlives the connection. An error other
// than errRefused means that the server is not there, or has gone again.
func dial(ctx context.Context, addr string, who identity) (*link, error) {
	dialer := net.Dialer{Timeout: patience}
	if runtime.GOOS == "linux" {
		// From the address of the server, a dial to its port while it is down
		// could by chance get that very port, and so reach itself.
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &link{TCPConn: conn.(*net.TCPConn), r: bufio.NewReader(conn), version: who.version, ended: make(chan struct{})}
	if err := l.logIn(who); err != nil {
		_ = conn.Close() // the error to report is that of the login
		return nil, err
	}
	return l, nil
}

func (l *link) logIn(who identity) error {
	connect := packet.Connect{
		KeepAlive: 60, ClientID: who.clientID, HasUsername: true, Username: who.user,
		HasPassword: true, Password: []byte(who.password), SessionExpiry: 3600, RequestProblemInfo: true,
	}
	if err := l.send(connect.Append(nil, l.version)); err != nil {
		return err
	}
	h, body, err := l.read()
	if err != nil {
		return err
	}
	var ack packet.Connack
	if h.Type != packet.CONNACK {
		return fmt.Errorf("%w: got %v instead of CONNACK", errRefused, h.Type)
	}
	if err := ack.Decode(l.version, body); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if ack.Reason != packet.Success {
		return fmt.Errorf("%w: %#x %s", errRefused, byte(ack.Reason), ack.ReasonString)
	}
	l.present, l.window = ack.SessionPresent, int(ack.ReceiveMaximum)
	if l.window == 0 {
		l.window = 65535
	}
	return nil
}

// read waits for the next packet.
func (l *link) read() (packet.Header, []byte, error) {
	if err := l.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
		return packet.Header{}, nil, err
	}
	first, err := l.r.ReadByte()
	if err != nil {
		return packet.Header{}, nil, err
	}
	length, err := binary.ReadUvarint(l.r) // the same coding as MQTT's lengths
	if err != nil {
		return packet.Header{}, nil, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(l.r, body)
	return packet.Header{Type: packet.Type(first >> 4), Flags: first & 15, Length: int(length)}, body, err
}

// send writes b and what was queued before it.
func (l *link) send(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = append(l.out, b...)
	_, err := l.Write(l.out)
	l.out = l.out[:0]
	return err
}

// reply queues b and writes it when there is nothing left to read, so that
// many acks leave at once.
func (l *link) reply(b []byte) error {
	if l.r.Buffered() > 0 {
		l.mu.Lock()
		l.out = append(l.out, b...)
		l.mu.Unlock()
		return nil
	}
	return l.send(b)
}

// receive calls handle for every packet until the connection ends. handle
// gives what is to be answered.
func (l *link) receive(handle func(packet.Header, []byte) ([]byte, error)) error {
	defer close(l.ended)
	for {
		h, body, err := l.read()
		if err != nil {
			return nil // the server was killed
		}
		if h.Type == packet.DISCONNECT {
			return l.dismissed(body)
		}
		answer, err := handle(h, body)
		if err != nil {
			return err
		}
		if err := l.reply(answer); err != nil {
			return nil // as above
		}
	}
}

// dismissed tells a server that stops from one that complains.
func (l *link) dismissed(body []byte) error {
	var d packet.Disconnect
	if err := d.Decode(l.version, body); err != nil {
		return err
	}
	if d.Reason != packet.ServerShuttingDown {
		return fmt.Errorf("got DISCONNECT with reason %#x %s", byte(d.Reason), d.ReasonString)
	}
	return nil
}

// decodeAck reads an ack and refuses one that is an error.
func decodeAck(v packet.Version, h packet.Header, body []byte) (packet.Ack, error) {
	var a packet.Ack
	if err := a.Decode(v, h.Type, body); err != nil {
		return a, err
	}
	// PUBREL and PUBCOMP say so for an identifier that the other side has
	// forgotten already, which a lost packet explains.
	if a.Reason.IsError() && a.Reason != packet.PacketIdentifierNotFound {
		return a, fmt.Errorf("%v of %d has reason %#x %s", a.Type, a.PacketID, byte(a.Reason), a.ReasonString)
	}
	return a, nil
}
