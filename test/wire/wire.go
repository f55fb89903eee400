// Package wire is a small MQTT client for tests and benchmarks. It writes and
// reads the bytes of the specification itself and shares no code with the
// server, so that a mistake in the server's codec is not made twice. It
// checks nothing and hides nothing: a test sees every packet.
package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// Protocol levels of CONNECT.
const (
	V311 = 4
	V5   = 5
)

// Conn is one connection. Writing and reading may go on at the same time, in
// one goroutine each.
type Conn struct {
	net.Conn
	r *bufio.Reader
}

// Packet is a packet as it came.
type Packet struct {
	First byte // type and flags
	Body  []byte
}

// Type is the type of the packet, 2 for CONNACK and so on.
func (p Packet) Type() byte { return p.First >> 4 }

// ID is the packet identifier of an ack.
func (p Packet) ID() uint16 { return binary.BigEndian.Uint16(p.Body) }

// Reason is the reason code of a 5.0 ack, 0 where it is left out.
func (p Packet) Reason() byte {
	if len(p.Body) < 3 {
		return 0
	}
	return p.Body[2]
}

// Dial opens a connection and sends nothing.
func Dial(addr string) (*Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return New(c), nil
}

// New speaks MQTT over c.
func New(c net.Conn) *Conn { return &Conn{Conn: c, r: bufio.NewReaderSize(c, 4096)} }

// Login is the content of a CONNECT.
type Login struct {
	Version            byte // V311 or V5
	ClientID           string
	Username, Password string
	KeepAlive          uint16
}

// Connect dials, logs in with a clean session and waits for the CONNACK. A
// refusal is an error that names the code.
func Connect(addr string, l Login) (*Conn, error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	code, err := c.login(l)
	if err == nil && code != 0 {
		err = fmt.Errorf("CONNECT refused with code %#x", code)
	}
	if err != nil {
		_ = c.Close() // the refusal is the error to report
		return nil, err
	}
	return c, nil
}

// login sends CONNECT and returns the code of the CONNACK.
func (c *Conn) login(l Login) (byte, error) {
	if _, err := c.Write(AppendConnect(nil, l)); err != nil {
		return 0, err
	}
	p, err := c.Read()
	if err != nil {
		return 0, fmt.Errorf("wait for CONNACK: %w", err)
	}
	if p.Type() != 2 || len(p.Body) < 2 {
		return 0, fmt.Errorf("want CONNACK, got packet %#x with % x", p.First, p.Body)
	}
	return p.Body[1], nil
}

// Read waits for the next packet, at most 30 seconds.
func (c *Conn) Read() (Packet, error) {
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return Packet{}, err
	}
	first, err := c.r.ReadByte()
	if err != nil {
		return Packet{}, err
	}
	n, err := binary.ReadUvarint(c.r) // the same coding as MQTT's lengths
	if err != nil {
		return Packet{}, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return Packet{First: first, Body: body}, err
}

// Publish is the content of a PUBLISH.
type Publish struct {
	Version byte
	QoS     byte
	Retain  bool
	ID      uint16
	Topic   string
	Payload []byte
}

// AppendConnect appends a CONNECT with a clean session.
func AppendConnect(b []byte, l Login) []byte {
	flags := byte(2)
	if l.Username != "" {
		flags |= 0xc0
	}
	v := append(AppendString(nil, "MQTT"), l.Version, flags)
	v = binary.BigEndian.AppendUint16(v, l.KeepAlive)
	if l.Version == V5 {
		v = append(v, 0)
	}
	v = AppendString(v, l.ClientID)
	if l.Username != "" {
		v = AppendString(AppendString(v, l.Username), l.Password)
	}
	return append(binary.AppendUvarint(append(b, 0x10), uint64(len(v))), v...)
}

// AppendPublish appends a PUBLISH.
func AppendPublish(b []byte, p Publish) []byte {
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if p.Version == V5 {
		n++
	}
	first := 0x30 | p.QoS<<1
	if p.Retain {
		first |= 1
	}
	b = AppendString(binary.AppendUvarint(append(b, first), uint64(n)), p.Topic)
	if p.QoS > 0 {
		b = binary.BigEndian.AppendUint16(b, p.ID)
	}
	if p.Version == V5 {
		b = append(b, 0)
	}
	return append(b, p.Payload...)
}

// AppendSubscribe appends a SUBSCRIBE to one filter.
func AppendSubscribe(b []byte, version byte, id uint16, filter string, qos byte) []byte {
	v := binary.BigEndian.AppendUint16(nil, id)
	if version == V5 {
		v = append(v, 0)
	}
	v = append(AppendString(v, filter), qos)
	return append(binary.AppendUvarint(append(b, 0x82), uint64(len(v))), v...)
}

// AppendString appends the length of s in two bytes, and s.
func AppendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
