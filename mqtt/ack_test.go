package mqtt_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// slow is a handler that acks when the test says so.
type slow struct{ got chan *mqtt.Inbound }

func newSlow() *slow { return &slow{got: make(chan *mqtt.Inbound, 1000)} }

func (s *slow) HandlePublish(in *mqtt.Inbound) { s.got <- in }

func TestNoAckBeforeTheHandlerSaysSo(t *testing.T) {
	for qos, want := range map[byte]packet.Type{1: packet.PUBACK, 2: packet.PUBREC} {
		h := newSlow()
		both(t, func() mqtt.Config { h = newSlow(); return mqtt.Config{Handler: h} }, func(b *bed, v packet.Version) {
			c, sub := b.connect(v, "pub"), b.connect(v, "sub")
			sub.subscribe("#", 0)
			c.send(publish("a", "x", qos, 7))
			in := <-h.got
			c.quiet()
			sub.quiet()
			in.Ack(packet.Success, "")
			a := next[*packet.Ack](c)
			equal(t, "ack", packet.Ack{Type: a.Type, PacketID: a.PacketID, Reason: a.Reason}, packet.Ack{Type: want, PacketID: 7})
			sub.gets("a", "x")
		})
	}
}

// [MQTT-4.6.0-2]
func TestAcksLeaveInOrderOfArrival(t *testing.T) {
	h := newSlow()
	run(t, mqtt.Config{Handler: h}, func(b *bed) {
		c := b.connect(packet.V5, "pub")
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("#", 0)
		var in []*mqtt.Inbound
		for i := range 5 {
			c.send(publish("t", fmt.Sprint(i), 1, uint16(i+1)))
			in = append(in, <-h.got)
		}
		for _, i := range []int{4, 2, 1, 3} {
			in[i].Ack(packet.Success, "")
		}
		c.quiet()
		sub.quiet()
		in[0].Ack(packet.Success, "")
		for i := range 5 {
			equal(t, "packet id", next[*packet.Ack](c).PacketID, uint16(i+1))
			sub.gets("t", fmt.Sprint(i))
		}
	})
}

func TestRefusedPublish(t *testing.T) {
	reasons := []packet.ReasonCode{packet.QuotaExceeded, packet.PayloadFormatInvalid, packet.NotAuthorized, packet.UnspecifiedError}
	for _, reason := range reasons {
		handler := mqtt.HandlerFunc(func(in *mqtt.Inbound) { in.Ack(reason, "because") })
		run(t, mqtt.Config{Handler: handler}, func(b *bed) {
			sub := b.connect(packet.V5, "sub")
			sub.subscribe("#", 1)
			c := b.connect(packet.V5, "pub")
			a := c.publish1("a", "x")
			equal(t, "5.0: reason", a.Reason, reason)
			equal(t, "5.0: reason string", a.ReasonString, "because")
			old := b.connect(packet.V311, "old")
			old.send(publish("a", "x", 1, 9))
			if reason == packet.UnspecifiedError { // it may pass when it is sent again
				old.closed()
			} else {
				equal(t, "3.1.1: ack", next[*packet.Ack](old).Reason, packet.Success)
			}
			sub.quiet()
		})
	}
}

func TestReasonWhenNobodySubscribes(t *testing.T) {
	run(t, plain(), func(b *bed) {
		c := b.connect(packet.V5, "pub")
		equal(t, "nobody", c.publish1("a", "x").Reason, packet.NoMatchingSubscribers)
		c.subscribe("a", 0)
		c.send(publish("a", "x", 1, 3))
		reasons := map[packet.ReasonCode]int{}
		for range 2 {
			if a, ok := (<-c.frames).(*packet.Ack); ok {
				reasons[a.Reason]++
			}
		}
		equal(t, "somebody", reasons, map[packet.ReasonCode]int{packet.Success: 1})
	})
	stored := mqtt.HandlerFunc(func(in *mqtt.Inbound) { in.Ack(packet.Success, "") })
	run(t, mqtt.Config{Handler: stored}, func(b *bed) {
		c := b.connect(packet.V5, "pub")
		equal(t, "the handler's reason wins", c.publish1("a", "x").Reason, packet.Success)
	})
}

// A publish with QoS 2 is one message, however often it is sent.
func TestExactlyOnceInbound(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		sub := b.connect(v, "sub")
		sub.subscribe("#", 0)
		c := b.connect(v, "pub", lasting)
		c.send(publish("a", "1", 2, 5))
		equal(t, "PUBREC", next[*packet.Ack](c).Type, packet.PUBREC)
		c.send(publish("a", "1", 2, 5, func(p *packet.Publish) { p.Dup = true }))
		next[*packet.Ack](c)
		c.drop()
		c = b.connect(v, "pub", lasting)
		c.send(publish("a", "1", 2, 5, func(p *packet.Publish) { p.Dup = true }))
		next[*packet.Ack](c)
		c.ack(packet.PUBREL, 5)
		equal(t, "PUBCOMP", next[*packet.Ack](c).Type, packet.PUBCOMP)
		c.send(publish("a", "2", 2, 5))
		next[*packet.Ack](c)
		sub.gets("a", "1")
		sub.gets("a", "2")
		sub.quiet()
	})
}

// A connection that comes back while its publish is at the handler waits, so
// that the publish is not handled twice.
func TestReconnectWaitsForTheHandler(t *testing.T) {
	h := newSlow()
	run(t, mqtt.Config{Handler: h}, func(b *bed) {
		c := b.connect(packet.V5, "pub", lasting)
		c.send(publish("a", "1", 2, 5))
		in := <-h.got
		again := b.dial(packet.V5)
		again.send(hello("pub", lasting))
		c.disconnected(packet.SessionTakenOver)
		again.quiet()
		in.Ack(packet.Success, "")
		equal(t, "session present", next[*packet.Connack](again).SessionPresent, true)
		again.send(publish("a", "1", 2, 5, func(p *packet.Publish) { p.Dup = true }))
		equal(t, "answer", next[*packet.Ack](again).Type, packet.PUBREC)
		if len(h.got) != 0 {
			t.Error("the handler got the message a second time")
		}
	})
}

func TestReceiveMaximum(t *testing.T) {
	h := newSlow()
	run(t, mqtt.Config{Handler: h, Limits: mqtt.Limits{ReceiveMaximum: 2}}, func(b *bed) {
		c, ack := b.login(packet.V5, "pub")
		equal(t, "announced", ack.ReceiveMaximum, 2)
		c.send(publish("a", "1", 1, 1), publish("a", "2", 2, 2), publish("a", "3", 0, 0))
		synctest.Wait()
		equal(t, "handled", len(h.got), 3)
		c.send(publish("a", "4", 1, 4))
		c.disconnected(packet.ReceiveMaximumExceeded)
		for range 3 {
			(<-h.got).Ack(packet.Success, "")
		}
	})
}

// A handler that blocks stops its connection and no other.
func TestBackPressureIsPerConnection(t *testing.T) {
	var block chan struct{}
	var seen []string
	handler := mqtt.HandlerFunc(func(in *mqtt.Inbound) {
		if in.Topic == "block" {
			<-block
		}
		seen = append(seen, in.Topic)
		in.Ack(packet.Success, "")
	})
	run(t, mqtt.Config{Handler: handler}, func(b *bed) {
		block = make(chan struct{}) // of the bubble
		c, other := b.connect(packet.V5, "a"), b.connect(packet.V5, "b")
		c.send(publish("block", "", 1, 1))
		c.quiet()
		equal(t, "other connection", other.publish1("x", "").Reason, packet.Success)
		close(block)
		next[*packet.Ack](c)
		slices.Sort(seen)
		equal(t, "handled", seen, []string{"block", "x"})
	})
}
