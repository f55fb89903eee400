package mqtt_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// FuzzSession feeds a server with whatever a client may send. The server
// must not panic, must not hang, and must serve the next client.
func FuzzSession(f *testing.F) {
	connect := func(v packet.Version) []byte { return hello("c", lasting).Append(nil, v) }
	subscribe := &packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "#", QoS: 2}, {Filter: "$share/g/a", QoS: 1}}}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		b := subscribe.Append(connect(v), v)
		for qos := range byte(3) {
			id := uint16(qos)
			b = publish("a", "x", qos, id, func(p *packet.Publish) { p.Retain = qos == 1 }).Append(b, v)
		}
		f.Add(b)
		for _, t := range []packet.Type{packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP} {
			b = (&packet.Ack{Type: t, PacketID: 2}).Append(b, v)
		}
		f.Add(b)
		b = (&packet.Unsubscribe{PacketID: 3, Filters: []string{"#"}}).Append(b, v)
		f.Add((&packet.Disconnect{}).Append(packet.AppendPingreq(b), v))
	}
	f.Add([]byte("\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c\x82\x06\x00\x01\x00\x00\x01a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg := mqtt.Config{Limits: mqtt.Limits{LoginDelay: -1}}
		cfg.Observer.Panic = func(_ *mqtt.Client, v any, stack, p []byte) { t.Errorf("panic %v over %x\n%s", v, p, stack) }
		s, err := mqtt.New(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		converse(s, data, 10*time.Millisecond)
		good := converse(s, hello("good").Append(nil, packet.V5), 10*time.Second)
		if len(good) == 0 || packet.Type(good[0]>>4) != packet.CONNACK {
			t.Errorf("the next client got %x, want a CONNACK", good)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown = %v, want nil", err)
		}
	})
}

// converse sends data, waits for the first answer, for patience at most since
// data may have no complete CONNECT, and gives it.
func converse(s *mqtt.Server, data []byte, patience time.Duration) []byte {
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { s.ServeConn(theirs); close(done) }()
	first := make(chan []byte, 1)
	go func() {
		b := make([]byte, 4096)
		n, _ := ours.Read(b)
		first <- b[:n]
		_, _ = io.Copy(io.Discard, ours)
	}()
	_, _ = ours.Write(data)
	var got []byte
	select {
	case got = <-first:
	case <-time.After(patience):
	}
	_ = ours.Close()
	<-done
	return got
}
