package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// fleet is all devices. They connect when the gate opens, each at once.
type fleet struct {
	addr     string
	interval time.Duration // between readings of a device
	devices  []*device

	mu     sync.Mutex
	gate   chan struct{} // closed while there is a server to connect to
	opened time.Time
	online atomic.Int64
	tries  atomic.Int64 // connections that did not come about
	faults chan error   // what a device may not meet
}

// device sends numbered readings, one after the other, and sends again what
// was not acknowledged when its connection ended.
type device struct {
	trefoiltest.Device
	source net.IP
	sent   int           // the number that was sent last
	acked  atomic.Int64  // the number that was acknowledged last
	back   time.Duration // from the opening of the gate to CONNACK; read it when all are online
}

// open lets the fleet connect.
func (f *fleet) open() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened = time.Now()
	close(f.gate)
}

// shut makes devices that lose their connection wait.
func (f *fleet) shut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = make(chan struct{})
}

func (f *fleet) way() (<-chan struct{}, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gate, f.opened
}

// run is the life of a device until ctx ends.
func (f *fleet) run(ctx context.Context, d *device) {
	for {
		gate, _ := f.way()
		select {
		case <-gate:
		case <-ctx.Done():
			return
		}
		conn, err := f.connect(ctx, d)
		if err != nil {
			f.tries.Add(1)
			continue
		}
		_, opened := f.way()
		d.back = time.Since(opened)
		f.online.Add(1)
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the reader
		err = f.report(conn, d)
		stop()
		f.online.Add(-1)
		_ = conn.Close() // of which nothing more is expected
		if err != nil {
			f.faults <- fmt.Errorf("%s: %w", d.ID, err)
			return
		}
	}
}

// connect logs in with a session that outlives the connection.
func (f *fleet) connect(ctx context.Context, d *device) (*wire.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: d.source}}
	socket, err := dialer.DialContext(ctx, "tcp", f.addr)
	if err != nil {
		return nil, err
	}
	conn := wire.New(socket)
	login := packet.Connect{
		ClientID: d.ID, HasUsername: true, Username: d.ID, HasPassword: true, Password: []byte(d.Token),
		KeepAlive: 60, SessionExpiry: 3600, RequestProblemInfo: true,
	}
	_, err = conn.Write(login.Append(nil, packet.V5))
	var p wire.Packet
	if err == nil {
		p, err = conn.Read()
	}
	if err == nil && (p.Type() != byte(packet.CONNACK) || p.Body[1] != 0) {
		err = fmt.Errorf("CONNECT refused: % x", p.Body)
	}
	if err != nil {
		_ = socket.Close() // the error to report is that of the login
		return nil, err
	}
	return conn, nil
}

// report sends readings until the connection ends. An error is a fault of the
// server.
func (f *fleet) report(conn *wire.Conn, d *device) error {
	for {
		again := d.sent > int(d.acked.Load())
		if !again {
			d.sent++
		}
		m := packet.Publish{
			QoS: 1, Dup: again, PacketID: 1, Topic: []byte("devices/" + d.ID + "/telemetry"),
			Payload: fmt.Appendf(nil, `{"n":%d}`, d.sent),
		}
		if _, err := conn.Write(m.Append(nil, packet.V5)); err != nil {
			return nil // the server was killed
		}
		p, err := conn.Read()
		if err != nil {
			return nil // as above
		}
		if p.Type() != byte(packet.PUBACK) || p.Reason() >= 0x80 {
			return fmt.Errorf("got packet %#x with % x, want PUBACK", p.First, p.Body)
		}
		d.acked.Store(int64(d.sent))
		if !f.idle(conn) {
			return nil
		}
	}
}

// idle waits until it is time for the next reading, and reports whether the
// connection is still there.
func (f *fleet) idle(conn *wire.Conn) bool {
	if err := conn.SetReadDeadline(time.Now().Add(f.interval)); err != nil {
		return false
	}
	var b [1]byte
	_, err := conn.Conn.Read(b[:])
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// source spreads devices over addresses, where the system has them.
func source(i int) net.IP {
	if runtime.GOOS != "linux" {
		return net.IPv4(127, 0, 0, 1)
	}
	return net.IPv4(127, 0, 0, byte(2+i%100))
}
