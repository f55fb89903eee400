package e2e

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// client is a connection of a session that outlives it. It answers nothing by
// itself.
type client struct {
	*wire.Conn
	t       *testing.T
	version packet.Version
	present bool // the server found the session
}

// session connects as the device with a persistent session; change may alter
// the CONNECT.
func (r *rig) session(d trefoiltest.Device, v packet.Version, clientID string, change ...func(*packet.Connect)) *client {
	r.t.Helper()
	conn, err := wire.Dial(r.MQTT)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() }) // the test may have closed it
	connect := packet.Connect{
		ClientID: clientID, HasUsername: true, Username: d.ID, HasPassword: true, Password: []byte(d.Token),
		KeepAlive: 60, SessionExpiry: 3600, RequestProblemInfo: true,
	}
	for _, f := range change {
		f(&connect)
	}
	send(r.t, conn, connect.Append(nil, v))
	var ack packet.Connack
	if err := ack.Decode(v, receive(r.t, conn, byte(packet.CONNACK)).Body); err != nil || ack.Reason != packet.Success {
		r.t.Fatalf("CONNACK of %s: reason %#x, %v", clientID, byte(ack.Reason), err)
	}
	return &client{Conn: conn, t: r.t, version: v, present: ack.SessionPresent}
}

func (c *client) subscribe(filter string, qos byte) {
	c.t.Helper()
	sub := packet.Subscribe{PacketID: 65535, Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}}
	send(c.t, c.Conn, sub.Append(nil, c.version))
	if p := receive(c.t, c.Conn, suback); p.Body[len(p.Body)-1] != qos {
		c.t.Fatalf("SUBACK for %s: got %#x, want %d", filter, p.Body[len(p.Body)-1], qos)
	}
}

// publish sends a message and does not wait.
func (c *client) publish(p packet.Publish) {
	c.t.Helper()
	send(c.t, c.Conn, p.Append(nil, c.version))
}

// deliver publishes a message with QoS 1 or 2 to the end of its handshake.
func (c *client) deliver(p packet.Publish) {
	c.t.Helper()
	c.publish(p)
	if p.QoS == 1 {
		c.wantAck(packet.PUBACK, p.PacketID)
		return
	}
	c.wantAck(packet.PUBREC, p.PacketID)
	c.ack(packet.PUBREL, p.PacketID)
	c.wantAck(packet.PUBCOMP, p.PacketID)
}

func (c *client) ack(what packet.Type, id uint16) {
	c.t.Helper()
	a := packet.Ack{Type: what, PacketID: id}
	send(c.t, c.Conn, a.Append(nil, c.version))
}

func (c *client) wantAck(what packet.Type, id uint16) {
	c.t.Helper()
	var a packet.Ack
	if err := a.Decode(c.version, what, receive(c.t, c.Conn, byte(what)).Body); err != nil {
		c.t.Fatal(err)
	}
	if a.PacketID != id || a.Reason.IsError() {
		c.t.Fatalf("got %v of %d with reason %#x, want it of %d with success", what, a.PacketID, byte(a.Reason), id)
	}
}

// message waits for a PUBLISH.
func (c *client) message() packet.Publish {
	c.t.Helper()
	raw := receive(c.t, c.Conn, byte(packet.PUBLISH))
	var p packet.Publish
	if err := p.Decode(c.version, raw.First&15, raw.Body); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// accept acknowledges a message to the end of its handshake.
func (c *client) accept(p packet.Publish) {
	c.t.Helper()
	if p.QoS == 1 {
		c.ack(packet.PUBACK, p.PacketID)
		return
	}
	c.ack(packet.PUBREC, p.PacketID)
	c.wantAck(packet.PUBREL, p.PacketID)
	c.ack(packet.PUBCOMP, p.PacketID)
}

// leave disconnects as a client that will come back.
func (c *client) leave() {
	c.t.Helper()
	send(c.t, c.Conn, (&packet.Disconnect{}).Append(nil, c.version))
	awaitEnd(c.t, c.Conn)
}

// received is what the tests compare of a message.
type received struct {
	Payload     string
	QoS         byte
	Dup, Retain bool
}

func seen(p packet.Publish) received {
	return received{string(p.Payload), p.QoS, p.Dup, p.Retain}
}

func telemetryOf(d trefoiltest.Device, qos byte, id uint16, number int) packet.Publish {
	return packet.Publish{QoS: qos, PacketID: id, Topic: []byte("devices/" + d.ID + "/telemetry"), Payload: fmt.Appendf(nil, `{"n":%d}`, number)}
}

// survives runs a test for both ends of a server.
func survives(t *testing.T, versions []packet.Version, test func(r *rig, v packet.Version, end func() *rig)) {
	for _, v := range versions {
		for _, signal := range []string{"SIGTERM", "SIGKILL"} {
			t.Run(fmt.Sprintf("level %d %s", v, signal), func(t *testing.T) {
				r := start(t, trefoiltest.Options{})
				test(r, v, func() *rig {
					if signal == "SIGTERM" {
						r.stop()
					} else if err := r.Kill(); err != nil {
						t.Fatal(err)
					}
					return r.restart()
				})
			})
		}
	}
}

var bothVersions = []packet.Version{packet.V311, packet.V5}

func TestSubscriptionsAndQueuedMessagesOutliveTheServer(t *testing.T) {
	survives(t, bothVersions, func(r *rig, v packet.Version, end func() *rig) {
		d := r.device("queued")
		sub := r.session(d, v, "follower")
		sub.subscribe("devices/queued/telemetry", 2)
		sub.leave()
		var want []received
		pub := r.session(d, v, "source")
		for n := 1; n <= 10; n++ {
			qos := byte(n%2 + 1)
			pub.deliver(telemetryOf(d, qos, uint16(n), n))
			want = append(want, received{fmt.Sprintf(`{"n":%d}`, n), qos, false, false})
		}
		r = end()
		pub = r.session(d, v, "source")
		pub.deliver(telemetryOf(d, 1, 11, 11))
		want = append(want, received{`{"n":11}`, 1, false, false})
		sub = r.session(d, v, "follower")
		if !sub.present {
			r.t.Error("CONNACK: got no session present, want the session")
		}
		var messages []packet.Publish
		var got []received
		for range want {
			p := sub.message()
			messages, got = append(messages, p), append(got, seen(p))
		}
		for _, p := range messages {
			sub.accept(p)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.t.Errorf("messages after the restart (-want +got):\n%s", diff)
		}
		sub.leave()
		sub = r.session(d, v, "follower")
		pub.deliver(telemetryOf(d, 1, 12, 12)) // so that something comes in any case
		if got := string(sub.message().Payload); got != `{"n":12}` {
			r.t.Errorf("after everything was acknowledged: got %s, want the next message", got)
		}
	})
}

func TestMessagesInFlightToASubscriberOutliveTheServer(t *testing.T) {
	survives(t, bothVersions, func(r *rig, v packet.Version, end func() *rig) {
		d := r.device("flight")
		sub := r.session(d, v, "follower")
		sub.subscribe("devices/flight/telemetry", 2)
		pub := r.session(d, v, "source")
		ids := map[int]uint16{}
		for n, qos := range []byte{2, 1, 2} {
			pub.deliver(telemetryOf(d, qos, uint16(n+1), n))
			ids[n] = sub.message().PacketID
		}
		sub.ack(packet.PUBREC, ids[0])
		sub.wantAck(packet.PUBREL, ids[0])
		r = end()
		sub = r.session(d, v, "follower")
		sub.wantAck(packet.PUBREL, ids[0])
		for n, qos := range []byte{1, 2} {
			p := sub.message()
			want := received{fmt.Sprintf(`{"n":%d}`, n+1), qos, true, false}
			if diff := cmp.Diff(want, seen(p)); diff != "" || p.PacketID != ids[n+1] {
				r.t.Errorf("message in flight with identifier %d, want %d (-want +got):\n%s", p.PacketID, ids[n+1], diff)
			}
			sub.accept(p)
		}
		sub.ack(packet.PUBCOMP, ids[0])
	})
}

func TestAQoS2MessageInFlightFromAPublisherIsStoredOnce(t *testing.T) {
	survives(t, bothVersions, func(r *rig, v packet.Version, end func() *rig) {
		d := r.device("once")
		m := telemetryOf(d, 2, 7, 1)
		pub := r.session(d, v, "source")
		pub.publish(m)
		pub.wantAck(packet.PUBREC, 7)
		r = end()
		pub = r.session(d, v, "source")
		if !pub.present {
			r.t.Error("CONNACK: got no session present, want the session")
		}
		m.Dup = true
		pub.deliver(m)
		m.Dup = false
		pub.deliver(m) // a new message with the identifier that is free again
		if got := len(r.history("once", "n").V); got != 2 {
			r.t.Errorf("history: got %d readings, want 2: one for each message", got)
		}
	})
}

func TestRetainedMessagesOutliveTheServer(t *testing.T) {
	survives(t, bothVersions, func(r *rig, v packet.Version, end func() *rig) {
		d := r.device("retained")
		pub := r.session(d, v, "source")
		for id, metric := range []string{"a", "b"} {
			m := telemetryOf(d, 1, uint16(id+1), id)
			m.Topic, m.Payload, m.Retain = []byte("devices/retained/telemetry/"+metric), []byte("1"), true
			pub.deliver(m)
		}
		cleared := telemetryOf(d, 1, 3, 0)
		cleared.Topic, cleared.Payload, cleared.Retain = []byte("devices/retained/firmware/status"), []byte("done"), true
		pub.deliver(cleared)
		cleared.Payload = nil
		pub.deliver(cleared)
		r = end()
		sub := r.session(d, v, "follower")
		sub.subscribe("devices/retained/telemetry/#", 1)
		got := map[string]received{}
		for range 2 {
			p := sub.message()
			got[string(p.Topic)] = seen(p)
			sub.accept(p)
		}
		want := map[string]received{
			"devices/retained/telemetry/a": {"1", 1, false, true},
			"devices/retained/telemetry/b": {"1", 1, false, true},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.t.Errorf("retained messages (-want +got):\n%s", diff)
		}
		sub.subscribe("devices/retained/firmware/#", 1)
		pub = r.session(d, v, "source")
		cleared.Payload, cleared.Retain = []byte("new"), false
		pub.deliver(cleared)
		if got := seen(sub.message()); got.Payload != "new" {
			r.t.Errorf("topic whose retained message was cleared: got %+v, want the new message only", got)
		}
	})
}

// A will with a delay that was pending when the server ended, or whose client
// was still connected, is published when its time has come, unless the client
// has come back.
func TestAWillWithDelayOutlivesTheServer(t *testing.T) {
	survives(t, []packet.Version{packet.V5}, func(r *rig, v packet.Version, end func() *rig) {
		will := func(d trefoiltest.Device) func(*packet.Connect) {
			return func(c *packet.Connect) {
				c.Will = &packet.Will{Topic: "devices/" + d.ID + "/telemetry", Payload: []byte(`{"last":1}`), QoS: 1, Delay: 2}
			}
		}
		left, cut, back := r.device("left"), r.device("cut"), r.device("back")
		leaves := r.session(left, v, "left", will(left))
		r.awaitPresence("left", true)
		if err := leaves.Close(); err != nil {
			r.t.Fatal(err)
		}
		r.awaitPresence("left", false)
		r.session(cut, v, "cut", will(cut))
		r.session(back, v, "back", will(back))
		r = end()
		if !r.session(back, v, "back").present {
			r.t.Error("CONNACK: got no session present, want the session")
		}
		for _, id := range []string{"left", "cut"} {
			await(r.t, "the will of "+id, func() bool { return len(r.history(id, "last").V) == 1 })
		}
		if got := r.history("back", "last").V; len(got) != 0 {
			r.t.Errorf("will of the client that came back: got %v, want none", got)
		}
	})
}

// The queue of a session has a bound. Beyond it the oldest messages go, and
// the server counts them.
func TestAFullQueueLosesTheOldestMessagesAndCountsThem(t *testing.T) {
	const bound, more = 10_000, 50
	r := start(t, trefoiltest.Options{})
	d := r.device("full")
	sub := r.session(d, packet.V311, "follower")
	sub.subscribe("devices/full/telemetry", 1)
	sub.leave()
	pub := r.session(d, packet.V311, "source")
	const inFlight = 100
	for n := 1; n <= bound+more+inFlight; n++ {
		if n > inFlight {
			receive(t, pub.Conn, puback)
		}
		if n <= bound+more {
			pub.publish(telemetryOf(d, 1, uint16(n), n))
		}
	}
	var broker struct{ Dropped, Queued int }
	r.call("GET", "/api/v1/broker", nil, &broker)
	if broker.Dropped != more || broker.Queued != bound {
		t.Errorf("broker: got %d dropped and %d queued, want %d and %d", broker.Dropped, broker.Queued, more, bound)
	}
	r.stop() // a kill could bring back what was dropped last
	r = r.restart()
	sub = r.session(d, packet.V311, "follower")
	for n := more + 1; n <= bound+more; n++ {
		p := sub.message()
		if got, want := string(p.Payload), fmt.Sprintf(`{"n":%d}`, n); got != want {
			t.Fatalf("message: got %s, want %s", got, want)
		}
		sub.accept(p)
	}
}
