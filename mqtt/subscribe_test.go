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

func TestFiltersMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/+/#", "a/b", true},
		{"a/+/#", "a", false},
		{"+/b", "a/b", true},
		{"+", "a/b", false},
		{"+", "/a", false},
		{"/+", "/a", true},
		{"+/+", "/a", true},
		{"#", "a/b", true},
		{"a/b", "a/b", true},
		{"a/b", "a/B", false},
		{"a//b", "a//b", true},
		{"a/+/b", "a//b", true},
	} {
		run(t, plain(), func(b *bed) {
			sub := b.connect(packet.V5, "sub")
			sub.subscribe(c.filter, 0)
			b.connect(packet.V5, "pub").publish1(c.topic, "x")
			synctest.Wait()
			if got := len(sub.frames) == 1; got != c.want {
				t.Errorf("%q gets %q: %v, want %v", c.filter, c.topic, got, c.want)
			}
		})
	}
}

func TestOverlappingSubscriptionsGiveOneCopyWithTheHighestQoS(t *testing.T) {
	run(t, plain(), func(b *bed) {
		sub := b.connect(packet.V5, "sub")
		for i, filter := range []string{"a/#", "a/b", "+/b"} {
			sub.subscribe(filter, byte(i%2), func(p *packet.Subscribe) { p.SubscriptionID = uint32(i + 1) })
		}
		b.connect(packet.V5, "pub").publish1("a/b", "x")
		p := sub.gets("a/b", "x")
		equal(t, "QoS", p.QoS, 1)
		ids := map[uint32]bool{}
		for _, id := range p.SubscriptionIDs {
			ids[id] = true
		}
		equal(t, "identifiers", ids, map[uint32]bool{1: true, 2: true, 3: true})
		sub.quiet()
	})
}

// Each group gets a copy, and within a group one member.
func TestSharedSubscriptions(t *testing.T) {
	run(t, plain(), func(b *bed) {
		var members []*client
		for i, filter := range []string{"$share/g/a/#", "$share/g/a/#", "$share/h/a/#"} {
			c := b.connect(packet.V5, fmt.Sprint("c", i))
			c.subscribe(filter, 1)
			members = append(members, c)
		}
		pub := b.connect(packet.V5, "pub")
		for range 10 {
			equal(t, "reason", pub.publish1("a/b", "x").Reason, packet.Success)
		}
		synctest.Wait()
		equal(t, "group g", len(members[0].frames)+len(members[1].frames), 10)
		equal(t, "both members work", [2]int{len(members[0].frames), len(members[1].frames)}, [2]int{5, 5})
		equal(t, "group h", len(members[2].frames), 10)
	})
}

func TestRetained(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		retain := func(p *packet.Publish) { p.Retain = true }
		pub := b.connect(v, "pub")
		pub.publish1("a/1", "one", retain)
		pub.publish1("a/2", "two", retain)
		pub.publish1("a/2", "newer", retain)
		pub.publish1("a/1", "", retain)
		sub := b.connect(v, "sub")
		sub.subscribe("a/+", 1)
		equal(t, "retain flag", sub.gets("a/2", "newer").Retain, true)
		pub.publish1("a/2", "live", retain)
		equal(t, "retain flag of what comes live", sub.gets("a/2", "live").Retain, false)
		sub.quiet()
		equal(t, "retained", b.server.Stats().Retained, 1)
	})
}

func TestRetainHandlingAndRetainAsPublished(t *testing.T) {
	run(t, plain(), func(b *bed) {
		pub := b.connect(packet.V5, "pub")
		retain := func(p *packet.Publish) { p.Retain = true }
		pub.publish1("a", "kept", retain)
		sub := b.connect(packet.V5, "sub")
		with := func(handling byte) func(*packet.Subscribe) {
			return func(p *packet.Subscribe) {
				p.Subscriptions[0].RetainHandling, p.Subscriptions[0].RetainAsPublished = handling, true
			}
		}
		sub.subscribe("a", 0, with(2))
		sub.quiet()
		sub.subscribe("a", 0, with(1))
		sub.quiet()
		sub.subscribe("a", 0, with(0))
		sub.gets("a", "kept")
		sub.subscribe("+", 0, with(1))
		sub.gets("a", "kept")
		pub.publish1("a", "live", retain)
		equal(t, "retain as published", sub.gets("a", "live").Retain, true)
	})
}

// A new subscription to more retained messages than any queue holds gets all
// of them.
func TestManyRetainedMessages(t *testing.T) {
	for _, c := range []struct {
		name    string
		qos     byte
		session func(*packet.Connect)
	}{
		{"QoS 0", 0, lasting},
		{"QoS 1, stored session", 1, lasting},
		{"QoS 1, session that ends with its connection", 1, func(*packet.Connect) {}},
	} {
		cfg := mqtt.Config{Limits: mqtt.Limits{OutboundBytes: 2000, InflightOut: 10, QueueMessages: 20}}
		t.Run(c.name, func(t *testing.T) {
			run(t, cfg, func(b *bed) {
				for i := range 500 {
					b.server.Publish(&mqtt.Message{Topic: fmt.Sprintf("d/%d/status", i), Payload: []byte("online"), QoS: 1, Retain: true}, nil)
				}
				synctest.Wait()
				sub := b.connect(packet.V5, "sub", c.session)
				sub.subscribe("d/+/status", c.qos)
				seen := map[string]bool{}
				for range 500 {
					p := next[*packet.Publish](sub)
					seen[string(p.Topic)] = true
					if p.QoS == 1 {
						sub.ack(packet.PUBACK, p.PacketID)
					}
				}
				equal(t, "topics", len(seen), 500)
			})
		})
	}
}

func TestNoLocal(t *testing.T) {
	run(t, plain(), func(b *bed) {
		c := b.connect(packet.V5, "c")
		c.subscribe("a", 0, func(p *packet.Subscribe) { p.Subscriptions[0].NoLocal = true })
		c.publish1("a", "own")
		c.quiet()
		b.connect(packet.V5, "d").publish1("a", "other")
		c.gets("a", "other")
	})
}

func TestPropertiesPassUnchanged(t *testing.T) {
	run(t, plain(), func(b *bed) {
		want := packet.PublishProperties{
			PayloadFormat: 1, ContentType: "text/plain", ResponseTopic: "answer", CorrelationData: []byte{1, 2, 0},
			User: []packet.UserProperty{{Name: "a", Value: "1"}, {Name: "a", Value: "1"}, {Name: "", Value: ""}},
		}
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("a", 1)
		old := b.connect(packet.V311, "old")
		old.subscribe("a", 1)
		a := b.connect(packet.V5, "pub").publish1("a", "x", func(p *packet.Publish) { p.Properties = want })
		equal(t, "properties", sub.gets("a", "x").Properties, want)
		old.gets("a", "x")
		equal(t, "user properties of the ack", len(a.User), 0)
	})
}

func TestTopicAliases(t *testing.T) {
	run(t, plain(), func(b *bed) {
		sub := b.connect(packet.V5, "sub", func(p *packet.Connect) { p.TopicAliasMaximum = 1 })
		sub.subscribe("#", 0)
		pub, ack := b.login(packet.V5, "pub")
		alias := func(p *packet.Publish) { p.TopicAlias = ack.TopicAliasMaximum }
		pub.publish1("long/topic", "1", alias)
		pub.publish1("", "2", alias)
		p := sub.gets("long/topic", "1")
		equal(t, "alias out", p.TopicAlias, 1)
		equal(t, "alias for the name", sub.gets("", "2").TopicAlias, 1)
		pub.publish1("other/topic", "3")
		equal(t, "no more aliases", sub.gets("other/topic", "3").TopicAlias, 0)
		pub.send(publish("x", "4", 0, 0, func(p *packet.Publish) { p.TopicAlias = ack.TopicAliasMaximum + 1 }))
		pub.disconnected(packet.TopicAliasInvalid)
		pub = b.connect(packet.V5, "pub")
		pub.send(publish("", "5", 0, 0, alias))
		pub.disconnected(packet.ProtocolError)
	})
}

func TestUnsubscribe(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		c := b.connect(v, "c")
		c.subscribe("a", 0)
		c.send(&packet.Unsubscribe{PacketID: 3, Filters: []string{"a", "b"}})
		ack := next[*packet.Suback](c)
		equal(t, "packet", [2]any{ack.Type, ack.PacketID}, [2]any{packet.UNSUBACK, uint16(3)})
		if v == packet.V5 {
			equal(t, "reasons", ack.Reasons, []packet.ReasonCode{packet.Success, packet.NoSubscriptionExisted})
		}
		b.connect(v, "d").publish1("a", "x")
		c.quiet()
	})
}

func TestSysIsForServices(t *testing.T) {
	run(t, mqtt.Config{Authenticator: names{}}, func(b *bed) {
		user := func(name string) func(*packet.Connect) {
			return func(p *packet.Connect) { p.HasUsername, p.Username = true, name }
		}
		c := b.connect(packet.V5, "c", user("device"))
		equal(t, "device", c.subscribe("$SYS/#", 0).Reasons[0], packet.NotAuthorized)
		equal(t, "device, shared", c.subscribe("$share/x/$SYS/#", 0).Reasons[0], packet.NotAuthorized)
		equal(t, "device publishes", c.publish1("$SYS/x", "").Reason, packet.NotAuthorized)
		c.subscribe("#", 0)
		s := b.connect(packet.V5, "s", user("service"))
		equal(t, "service", s.subscribe("$SYS/broker/clients/connected", 0).Reasons[0], packet.Success)
		time.Sleep(time.Second)
		s.gets("$SYS/broker/clients/connected", "2")
		c.quiet()
	})
}

func TestTopicBounds(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{TopicLevels: 5, TopicLength: 40, Subscriptions: 2}}, func(b *bed) {
		deep, long := strings.Repeat("/", 5), strings.Repeat("a", 41)
		c := b.connect(packet.V5, "c")
		equal(t, "deep filter", c.subscribe(deep, 0).Reasons[0], packet.TopicFilterInvalid)
		equal(t, "long filter", c.subscribe(long, 0).Reasons[0], packet.TopicFilterInvalid)
		c.subscribe("a", 0)
		c.subscribe("b", 0)
		equal(t, "third subscription", c.subscribe("c", 0).Reasons[0], packet.QuotaExceeded)
		equal(t, "same again", c.subscribe("a", 1).Reasons[0], packet.GrantedQoS1)
		for _, topic := range []string{deep, long} {
			c := b.connect(packet.V5, "p")
			c.send(publish(topic, "", 0, 0))
			c.disconnected(packet.TopicNameInvalid)
			_, ack := b.login(packet.V5, "w", func(p *packet.Connect) { p.Will = &packet.Will{Topic: topic} })
			equal(t, "will", ack.Reason, packet.TopicNameInvalid)
		}
	})
}
