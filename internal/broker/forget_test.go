package broker_test

import (
	"testing"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// connectKept connects with a session that outlives the connection, and
// reports whether the server still had it.
func (r *rig) connectKept(t *testing.T, id string) (c *client, present bool) {
	t.Helper()
	c = r.dialOnly(t, packet.V5)
	connect := packet.Connect{
		Version: packet.V5, ClientID: id, HasUsername: true, Username: id, HasPassword: true, Password: []byte("secret"),
		SessionExpiry: 3600, ReceiveMaximum: 100, RequestProblemInfo: true,
	}
	c.send(connect.Append(nil, packet.V5))
	header, body := c.read()
	var ack packet.Connack
	if err := ack.Decode(packet.V5, body); err != nil || ack.Reason != packet.Success {
		t.Fatalf("CONNECT got %v %+v %v, want success", header.Type, ack, err)
	}
	return c, ack.SessionPresent
}

func TestASuccessorOfADeletedDeviceInheritsNoSession(t *testing.T) {
	r := start(t)
	c, _ := r.connectKept(t, "a")
	sub := packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "devices/a/commands/#", QoS: 1}}}
	c.send(sub.Append(nil, packet.V5))
	c.read()
	c.send([]byte{0xe0, 0})
	if _, present := r.connectKept(t, "a"); !present {
		t.Fatal("the session was not kept, so this test shows nothing")
	}
	r.broker.Forget("a")
	if _, present := r.connectKept(t, "a"); present {
		t.Error("session present after the device was forgotten, want a new one")
	}
}
