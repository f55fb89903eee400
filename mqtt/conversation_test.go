package mqtt_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.1.3-7 of 3.1.1] [MQTT-3.1.3-8 of 3.1.1]
func TestClientWithoutIdentifier(t *testing.T) {
	run(t, plain(), func(b *bed) {
		one, ack := b.login(packet.V5, "", lasting)
		first := ack.AssignedClientID
		_, ack = b.login(packet.V5, "", lasting)
		if first == "" || ack.AssignedClientID == first {
			t.Errorf("assigned %q and %q, want two identifiers", first, ack.AssignedClientID)
		}
		one.bye()
		_, ack = b.login(packet.V5, first, lasting)
		equal(t, "the identifier names the session", ack.SessionPresent, true)
		for range 2 { // two clients, not one that takes the other over
			c := b.connect(packet.V311, "")
			c.subscribe("t", 0)
			defer c.gets("t", "x")
		}
		b.server.Publish(&mqtt.Message{Topic: "t", Payload: []byte("x")}, nil)
		_, ack = b.login(packet.V311, "", func(p *packet.Connect) { p.CleanStart = false })
		equal(t, "3.1.1, not clean", ack.Reason, packet.ClientIdentifierNotValid)
		_, ack = b.login(packet.V5, strings.Repeat("x", 2000))
		equal(t, "very long", ack.Reason, packet.ClientIdentifierNotValid)
	})
}

// QoS 0 is not for who is away; QoS 1 and 2 come in their order.
func TestOfflineMessagesOfEveryQoS(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		sub := b.connect(v, "sub", lasting)
		sub.subscribe("+/+", 2)
		sub.bye()
		pub := b.connect(v, "pub")
		for qos := range byte(3) {
			pub.send(publish("t/q", fmt.Sprint(qos), qos, uint16(qos)))
		}
		next[*packet.Ack](pub)
		next[*packet.Ack](pub)
		sub = b.connect(v, "sub", lasting)
		equal(t, "QoS", sub.gets("t/q", "1").QoS, 1)
		p := sub.gets("t/q", "2")
		equal(t, "QoS", p.QoS, 2)
		sub.ack(packet.PUBREC, p.PacketID)
		equal(t, "PUBREL", *next[*packet.Ack](sub), packet.Ack{Type: packet.PUBREL, PacketID: p.PacketID})
		sub.ack(packet.PUBCOMP, p.PacketID)
		sub.quiet()
	})
}

// What is sent again after a reconnect: the same packets, in their order, with
// DUP, and nothing is sent again without one.
func TestRedeliveryAfterAReconnect(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		sub := b.connect(v, "sub", lasting)
		sub.subscribe("#", 2)
		pub := b.connect(v, "pub")
		pub.send(publish("a", "1", 1, 1), publish("a", "2", 2, 2), publish("a", "3", 2, 3))
		var before []packet.Packet
		for range 3 {
			p := next[*packet.Publish](sub)
			equal(t, "DUP", p.Dup, false)
			p.Dup = true
			before = append(before, p)
		}
		sub.ack(packet.PUBREC, before[1].(*packet.Publish).PacketID)
		next[*packet.Ack](sub)
		time.Sleep(time.Hour)
		sub.quiet()
		sub.drop()
		sub = b.connect(v, "sub", lasting)
		equal(t, "first", packet.Packet(next[*packet.Publish](sub)), before[0])
		equal(t, "second", next[*packet.Ack](sub).PacketID, before[1].(*packet.Publish).PacketID)
		equal(t, "third", packet.Packet(next[*packet.Publish](sub)), before[2])
		sub.quiet()
	})
}

// [MQTT-3.9.3-1] [MQTT-3.8.4-5]
func TestReasonsOfSeveralFilters(t *testing.T) {
	g := &gate{allow: []string{"subscribe a", "subscribe c"}}
	run(t, mqtt.Config{Authorizer: g}, func(b *bed) {
		for v, refused := range map[packet.Version]packet.ReasonCode{packet.V5: packet.NotAuthorized, packet.V311: packet.UnspecifiedError} {
			c := b.connect(v, "c")
			c.send(&packet.Subscribe{PacketID: 5, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 2}, {Filter: "b", QoS: 1}, {Filter: "c"}}})
			want := packet.Suback{Type: packet.SUBACK, PacketID: 5, Reasons: []packet.ReasonCode{packet.GrantedQoS2, refused, packet.Success}}
			equal(t, "SUBACK", *next[*packet.Suback](c), want)
			c.send(&packet.Unsubscribe{PacketID: 6, Filters: []string{"b", "a"}})
			if ack := next[*packet.Suback](c); v == packet.V5 {
				equal(t, "UNSUBACK", ack.Reasons, []packet.ReasonCode{packet.NoSubscriptionExisted, packet.Success})
			}
		}
	})
}

func TestRequestAndResponse(t *testing.T) {
	run(t, plain(), func(b *bed) {
		asker, answerer := b.connect(packet.V5, "asker"), b.connect(packet.V5, "answerer")
		asker.subscribe("answer/1", 1)
		answerer.subscribe("ask", 1)
		asker.send(publish("ask", "?", 0, 0, func(p *packet.Publish) {
			p.Properties.ResponseTopic, p.Properties.CorrelationData = "answer/1", []byte{0, 9}
		}))
		q := answerer.gets("ask", "?")
		answerer.send(publish(q.Properties.ResponseTopic, "!", 0, 0, func(p *packet.Publish) {
			p.Properties.CorrelationData = q.Properties.CorrelationData
		}))
		equal(t, "correlation data", asker.gets("answer/1", "!").Properties.CorrelationData, []byte{0, 9})
	})
}

// [MQTT-3.3.4-10] [MQTT-4.9.0-2] [MQTT-4.9.0-3]: QoS 2 leaves the window with
// PUBCOMP, or with a PUBREC that is an error.
func TestFullWindowHoldsBackPublishesAlone(t *testing.T) {
	run(t, plain(), func(b *bed) {
		sub := b.connect(packet.V5, "sub", func(p *packet.Connect) { p.ReceiveMaximum = 1 })
		sub.subscribe("#", 2)
		pub := b.connect(packet.V5, "pub")
		pub.send(publish("a", "1", 2, 1), publish("a", "2", 2, 2), publish("a", "3", 1, 3))
		p := sub.gets("a", "1")
		sub.send(packet.Pingreq{})
		next[packet.Pingresp](sub)
		sub.subscribe("x", 0)
		sub.ack(packet.PUBREC, p.PacketID)
		equal(t, "PUBREL", next[*packet.Ack](sub).Type, packet.PUBREL)
		sub.quiet()
		sub.ack(packet.PUBCOMP, p.PacketID)
		p = sub.gets("a", "2")
		sub.quiet()
		sub.send(&packet.Ack{Type: packet.PUBREC, PacketID: p.PacketID, Reason: packet.ImplementationSpecificError})
		sub.gets("a", "3")
		sub.quiet()
	})
}

// A client may repeat a QoS 2 publish without using up its window.
// [MQTT-4.3.3-10]
func TestRepeatedPublishIsCountedOnce(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{ReceiveMaximum: 2}}, func(b *bed) {
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("#", 0)
		pub := b.connect(packet.V5, "pub")
		for i := range 5 {
			pub.send(publish("a", "1", 2, 1, func(p *packet.Publish) { p.Dup = i > 0 }))
			equal(t, "PUBREC", next[*packet.Ack](pub).Type, packet.PUBREC)
		}
		pub.ack(packet.PUBREL, 1)
		equal(t, "PUBCOMP", *next[*packet.Ack](pub), packet.Ack{Type: packet.PUBCOMP, PacketID: 1})
		sub.gets("a", "1")
		sub.quiet()
	})
}

// [MQTT-4.3.3-9]: after an error the identifier means a new message.
func TestRefusedIdentifierIsFree(t *testing.T) {
	refuse := true
	h := mqtt.HandlerFunc(func(in *mqtt.Inbound) {
		if refuse {
			in.Ack(packet.QuotaExceeded, "")
			return
		}
		in.Forward()
	})
	run(t, mqtt.Config{Handler: h}, func(b *bed) {
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("#", 0)
		pub := b.connect(packet.V5, "pub")
		pub.send(publish("a", "1", 2, 1))
		equal(t, "refused", next[*packet.Ack](pub).Reason, packet.QuotaExceeded)
		refuse = false
		pub.send(publish("a", "2", 2, 1))
		equal(t, "taken", next[*packet.Ack](pub).Reason, packet.Success)
		sub.gets("a", "2")
		sub.quiet()
	})
}

func TestPayloadFormat(t *testing.T) {
	run(t, plain(), func(b *bed) {
		c := b.connect(packet.V5, "c")
		c.subscribe("#", 0)
		text := func(p *packet.Publish) { p.Properties.PayloadFormat = 1 }
		equal(t, "not UTF-8", c.publish1("a", "\xff", text).Reason, packet.PayloadFormatInvalid)
		c.send(publish("a", "ü", 0, 0, text))
		equal(t, "passed on", c.gets("a", "ü").Properties.PayloadFormat, 1)
		_, ack := b.login(packet.V5, "w", willed(packet.Will{Topic: "w", Payload: []byte{0xff}, Properties: packet.PublishProperties{PayloadFormat: 1}}))
		equal(t, "will", ack.Reason, packet.PayloadFormatInvalid)
	})
}

// [MQTT-4.7.2-1]
func TestDollarTopics(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		c := b.connect(v, "c")
		for _, filter := range []string{"#", "+/x", "+/#"} {
			c.subscribe(filter, 1)
		}
		c.publish1("$TopicA/x", "")
		b.server.Publish(&mqtt.Message{Topic: "$SYS/x", Payload: []byte("x")}, nil)
		c.quiet()
	})
}

// [MQTT-3.10.4-2] [MQTT-3.10.4-3]: what is queued is delivered, and nothing
// new comes.
func TestUnsubscribeWhileMessagesAreQueued(t *testing.T) {
	for _, session := range []func(*packet.Connect){lasting, func(*packet.Connect) {}} {
		run(t, plain(), func(b *bed) {
			sub := b.connect(packet.V5, "sub", session, func(p *packet.Connect) { p.ReceiveMaximum = 1 })
			sub.subscribe("a", 2)
			pub := b.connect(packet.V5, "pub")
			pub.publish1("a", "1")
			pub.publish1("a", "2")
			p := sub.gets("a", "1")
			sub.send(&packet.Unsubscribe{PacketID: 1, Filters: []string{"a"}})
			next[*packet.Suback](sub)
			pub.publish1("a", "3")
			sub.ack(packet.PUBACK, p.PacketID)
			p = sub.gets("a", "2")
			sub.ack(packet.PUBACK, p.PacketID)
			sub.quiet()
		})
	}
}

// A subscription that replaces another loses nothing and repeats what is
// retained. [MQTT-3.8.4-3] [MQTT-3.8.4-4]
func TestReplacedSubscription(t *testing.T) {
	run(t, plain(), func(b *bed) {
		pub := b.connect(packet.V5, "pub")
		pub.publish1("a", "kept", func(p *packet.Publish) { p.Retain = true })
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("a", 0, func(p *packet.Subscribe) { p.SubscriptionID = 1 })
		equal(t, "identifier of the retained message", sub.gets("a", "kept").SubscriptionIDs, []uint32{1})
		sub.subscribe("a", 2, func(p *packet.Subscribe) { p.SubscriptionID = 268_435_455 })
		p := sub.gets("a", "kept")
		equal(t, "the new one", [2]any{p.QoS, p.SubscriptionIDs[0]}, [2]any{byte(1), uint32(268_435_455)})
		pub.publish1("a", "live")
		equal(t, "identifiers", sub.gets("a", "live").SubscriptionIDs, []uint32{268_435_455})
		sub.quiet()
	})
}

// [MQTT-3.1.2-29]
func TestReasonStringsAreForWhoWantsThem(t *testing.T) {
	h := mqtt.HandlerFunc(func(in *mqtt.Inbound) { in.Ack(packet.QuotaExceeded, "because") })
	run(t, mqtt.Config{Handler: h}, func(b *bed) {
		c := b.connect(packet.V5, "c", func(p *packet.Connect) { p.RequestProblemInfo = false })
		a := c.publish1("a", "")
		equal(t, "PUBACK", [2]any{a.Reason, a.ReasonString}, [2]any{packet.QuotaExceeded, ""})
	})
}

// A reason that an ack cannot have does not get on the wire. [MQTT-3.4.2-1]
func TestReasonsOfTheApplicationFitTheirPacket(t *testing.T) {
	h := mqtt.HandlerFunc(func(in *mqtt.Inbound) { in.Ack(packet.PacketTooLarge, "") })
	run(t, mqtt.Config{Handler: h, Authenticator: odd{}}, func(b *bed) {
		equal(t, "PUBACK", b.connect(packet.V5, "c").publish1("a", "").Reason, packet.UnspecifiedError)
		_, ack := b.login(packet.V5, "odd")
		equal(t, "CONNACK", ack.Reason, packet.UnspecifiedError)
	})
}

// A packet that fits without an alias is sent without: an alias that is named
// takes room. [MQTT-3.1.2-24] [MQTT-3.1.2-25]
func TestMaximumPacketSizeHoldsWithAliasesToo(t *testing.T) {
	run(t, plain(), func(b *bed) {
		sub := b.connect(packet.V5, "sub", func(p *packet.Connect) { p.TopicAliasMaximum, p.MaximumPacketSize = 5, 40 })
		sub.subscribe("#", 0)
		largest := strings.Repeat("x", 40-5-len("long/topic"))
		for _, payload := range []string{largest, largest + "x", "small", largest + strings.Repeat("x", 7)} {
			b.server.Publish(&mqtt.Message{Topic: "long/topic", Payload: []byte(payload)}, nil)
		}
		equal(t, "alias of the largest", sub.gets("long/topic", largest).TopicAlias, 0)
		equal(t, "alias of the small", sub.gets("long/topic", "small").TopicAlias, 1)
		sub.gets("", largest+strings.Repeat("x", 7))
		sub.quiet()
		equal(t, "dropped", b.server.Stats().Dropped, 1)
	})
}

// A client that takes no answer of the necessary size is told, if that fits.
func TestAnswersAboveTheMaximumPacketSize(t *testing.T) {
	run(t, plain(), func(b *bed) {
		c := b.dial(packet.V5)
		c.send(hello("c", func(p *packet.Connect) { p.MaximumPacketSize = 4 }))
		c.closed()
		c = b.connect(packet.V5, "d", func(p *packet.Connect) { p.MaximumPacketSize = 40 })
		many := make([]packet.Subscription, 50)
		for i := range many {
			many[i].Filter = fmt.Sprint(i)
		}
		c.send(&packet.Subscribe{PacketID: 1, Subscriptions: many})
		c.disconnected(packet.PacketTooLarge)
		synctest.Wait()
		equal(t, "connections", b.server.Stats().Connections, 0)
	})
}

// [MQTT-3.3.2-7]: aliases end with the connection.
func TestAliasesEndWithTheConnection(t *testing.T) {
	run(t, plain(), func(b *bed) {
		wants := func(p *packet.Connect) { p.TopicAliasMaximum = 3 }
		sub := b.connect(packet.V5, "sub", lasting, wants)
		sub.subscribe("#", 1)
		pub := b.connect(packet.V5, "pub")
		pub.publish1("long/topic", "1", func(p *packet.Publish) { p.TopicAlias = 1 })
		pub.publish1("", "2", func(p *packet.Publish) { p.TopicAlias = 1 })
		sub.gets("long/topic", "1")
		sub.gets("", "2")
		sub.drop()
		sub = b.connect(packet.V5, "sub", lasting, wants)
		p := sub.gets("long/topic", "1")
		equal(t, "alias", [2]any{p.TopicAlias, p.Dup}, [2]any{uint16(1), true})
		sub.gets("", "2")
		pub = b.connect(packet.V5, "pub")
		pub.send(publish("", "3", 0, 0, func(p *packet.Publish) { p.TopicAlias = 1 }))
		pub.disconnected(packet.ProtocolError)
	})
}

// A member of a group that goes away ends its own messages, and nobody else
// gets them. [MQTT-4.8.2-4] [MQTT-4.8.2-5]
func TestSharedMessageStaysWithItsMember(t *testing.T) {
	run(t, plain(), func(b *bed) {
		first := b.connect(packet.V5, "first", lasting)
		first.subscribe("$share/g/a", 2)
		pub := b.connect(packet.V5, "pub")
		pub.send(publish("a", "1", 2, 1))
		p := first.gets("a", "1")
		first.drop()
		second := b.connect(packet.V5, "second")
		second.subscribe("$share/g/a", 1)
		pub.send(publish("a", "2", 2, 2))
		equal(t, "QoS of the member", second.gets("a", "2").QoS, 1)
		second.quiet()
		first = b.connect(packet.V5, "first", lasting)
		again := first.gets("a", "1")
		equal(t, "the same", [2]any{again.PacketID, again.Dup}, [2]any{p.PacketID, true})
		first.quiet()
	})
}

// The expiry of a session may be changed by DISCONNECT; a new connection with
// expiry 0 ends with it.
func TestExpiryThatDisconnectChanges(t *testing.T) {
	run(t, plain(), func(b *bed) {
		c := b.connect(packet.V5, "c", lasting)
		c.send(&packet.Disconnect{SessionExpiry: ptr(uint32(5))})
		<-c.end
		time.Sleep(6 * time.Second)
		c, ack := b.login(packet.V5, "c", lasting)
		equal(t, "after 6 s", ack.SessionPresent, false)
		c.drop()
		c, ack = b.login(packet.V5, "c", func(p *packet.Connect) { p.CleanStart = false })
		equal(t, "present", ack.SessionPresent, true)
		c.drop()
		_, ack = b.login(packet.V5, "c", lasting)
		equal(t, "after expiry 0", ack.SessionPresent, false)
	})
}
