package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

func TestConnackAnnouncesEveryLimit(t *testing.T) {
	limits := mqtt.Limits{
		ReceiveMaximum: 7, PacketSize: 5000, TopicAliases: 3, KeepAlive: 30 * time.Second, SessionExpiry: time.Minute,
	}
	run(t, mqtt.Config{Limits: limits}, func(b *bed) {
		_, ack := b.login(packet.V5, "", func(p *packet.Connect) { p.SessionExpiry, p.KeepAlive = 1000, 60 })
		if ack.AssignedClientID == "" {
			t.Error("no assigned client identifier")
		}
		ack.AssignedClientID = ""
		want := packet.Connack{
			ReceiveMaximum: 7, MaximumPacketSize: 5000, TopicAliasMaximum: 3,
			ServerKeepAlive: ptr(uint16(30)), SessionExpiry: ptr(uint32(60)),
		}
		equal(t, "CONNACK", *ack, want)
	})
}

func TestNegativeLimitsAreTheLargest(t *testing.T) {
	limits := mqtt.Limits{
		ReceiveMaximum: -1, PacketSize: -1, TopicAliases: -1, ConnectSize: -1, ConnectTimeout: -1, WriteTimeout: -1, SessionExpiry: -1,
		TopicLength: -1, TopicLevels: -1, Connections: -1, Sessions: -1, AcceptRate: -1, UserProperties: -1, InflightOut: -1,
		OutboundBytes: -1, PendingPublishes: -1, PendingBytes: -1, MemoryQueue: -1, QueueMessages: -1, TransientMessages: -1, Subscriptions: -1,
	}
	run(t, mqtt.Config{Limits: limits}, func(b *bed) {
		_, ack := b.login(packet.V5, "c", func(p *packet.Connect) { p.SessionExpiry = 0xFFFFFFFF })
		equal(t, "CONNACK", *ack, packet.Connack{ReceiveMaximum: 65535, MaximumPacketSize: packet.MaxRemainingLength})
		c := b.connect(packet.V5, "d", lasting)
		c.subscribe("#", 1)
		c.send(publish("t", "x", 1, 1))
		time.Sleep(time.Minute)
		equal(t, "frames", len(c.frames), 2)
	})
}

func TestRefusedLogin(t *testing.T) {
	var refused []mqtt.Refused
	cfg := mqtt.Config{Authenticator: names{}}
	cfg.Observer.Refused = func(r mqtt.Refused) { refused = append(refused, r) }
	run(t, cfg, func(b *bed) {
		evil := func(p *packet.Connect) { p.HasUsername, p.Username = true, "evil" }
		began := time.Now()
		c, ack := b.login(packet.V5, "c", evil)
		equal(t, "5.0", [2]any{ack.Reason, ack.ReasonString}, [2]any{packet.BadUserNameOrPassword, "wrong password"})
		c.closed()
		if waited := time.Since(began); waited < 250*time.Millisecond {
			t.Errorf("answered after %v, want a delay", waited)
		}
		c, ack = b.login(packet.V311, "c", evil)
		equal(t, "3.1.1", ack.Reason, packet.BadUserNameOrPassword)
		c.closed()
		equal(t, "observed", refused[0].Username, "evil")
		equal(t, "counted", b.server.Stats().BadLogins, 2)
	})
}

func TestStoreThatFailsRefusesSessions(t *testing.T) {
	store := &faulty{MemoryStore: mqtt.NewMemoryStore(), fail: errors.New("disk full")}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		_, ack := b.login(packet.V5, "c", lasting)
		equal(t, "stored session", ack.Reason, packet.ServerUnavailable)
		b.connect(packet.V5, "d")
	})
}

// What is wrong with a packet, the reason on the wire, and the close.
func TestProtocolErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		hex  string
		want packet.ReasonCode // of 5.0; 3.1.1 is closed
		only packet.Version
	}{
		{"second CONNECT", "10 0f 0004 4d515454 05 02 0000 00 0002 6162", packet.ProtocolError, packet.V5},
		{"reserved type 0", "00 00", packet.MalformedPacket, 0},
		{"PUBLISH QoS 3", "36 05 0001 61 0001", packet.MalformedPacket, 0},
		{"PUBLISH DUP with QoS 0", "38 04 0001 61 00", packet.MalformedPacket, 0},
		{"PUBLISH packet id 0", "32 06 0001 61 0000 00", packet.ProtocolError, 0},
		{"PUBLISH wildcard", "30 04 0001 23 00", packet.MalformedPacket, 0},
		{"PUBLISH topic not UTF-8", "30 04 0001 ff 00", packet.MalformedPacket, 0},
		{"PUBLISH with subscription identifier", "30 06 0001 61 02 0b01", packet.ProtocolError, packet.V5},
		{"PUBLISH topic alias 0", "30 07 0001 61 03 230000", packet.TopicAliasInvalid, packet.V5},
		{"PUBLISH twice the same property", "30 08 0001 61 04 0101 0101", packet.ProtocolError, packet.V5},
		{"SUBSCRIBE without options", "82 06 0001 00 0001 61", packet.MalformedPacket, packet.V5},
		{"SUBSCRIBE without filter", "82 03 0001 00", packet.ProtocolError, packet.V5},
		{"SUBSCRIBE flags", "80 07 0001 00 0001 61 00", packet.MalformedPacket, 0},
		{"SUBSCRIBE retain handling 3", "82 07 0001 00 0001 61 30", packet.ProtocolError, packet.V5},
		{"SUBSCRIBE reserved bits", "82 07 0001 00 0001 61 40", packet.MalformedPacket, packet.V5},
		{"SUBSCRIBE no local and shared", "82 10 0001 00 000a 24736861 72652f67 2f61 04", packet.ProtocolError, packet.V5},
		{"SUBSCRIBE a+", "82 08 0001 00 0002 612b 00", packet.MalformedPacket, packet.V5},
		{"SUBSCRIBE a#", "82 08 0001 00 0002 6123 00", packet.MalformedPacket, packet.V5},
		{"PUBREL flags", "60 02 0001", packet.MalformedPacket, 0},
		{"PINGREQ with a body", "c0 01 00", packet.MalformedPacket, 0},
		{"CONNACK from a client", "20 03 00 00 00", packet.ProtocolError, packet.V5},
		{"PINGRESP from a client", "d0 00", packet.ProtocolError, 0},
		{"AUTH without a method", "f0 00", packet.ProtocolError, packet.V5},
		{"remaining length of five bytes", "30 ff ff ff ff 01", packet.MalformedPacket, 0},
		{"larger than announced", "30 ff ff ff 7f", packet.PacketTooLarge, 0},
	} {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			if c.only != 0 && c.only != v {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				run(t, plain(), func(b *bed) {
					watch := b.connect(v, "watch")
					conn := b.connect(v, "c")
					conn.raw(c.hex)
					conn.disconnected(c.want)
					equal(t, "faults", b.server.Stats().ProtocolFault, 1)
					watch.send(packet.Pingreq{})
					next[packet.Pingresp](watch)
				})
			})
		}
	}
}

func TestBadConnects(t *testing.T) {
	for _, c := range []struct {
		name string
		hex  string
		v    packet.Version
		want packet.ReasonCode // 0: closed without an answer
	}{
		{"not a CONNECT", "c0 00", packet.V5, 0},
		{"other protocol", "10 0e 0004 48545450 05 02 0000 00 0001 61", packet.V5, 0},
		{"version 6", "10 0e 0004 4d515454 06 02 0000 00 0001 61", packet.V5, packet.UnsupportedProtocolVersion},
		{"version 3", "10 0d 0004 4d515454 03 02 0000 0001 61", packet.V311, packet.UnsupportedProtocolVersion},
		{"reserved flag", "10 0e 0004 4d515454 05 03 0000 00 0001 61", packet.V5, packet.MalformedPacket},
		{"authentication method", "10 12 0004 4d515454 05 02 0000 04 15 0001 78 0001 61", packet.V5, packet.BadAuthenticationMethod},
		{"password without user, 3.1.1", "10 10 0004 4d515454 04 42 0000 0001 61 0001 62", packet.V311, 0},
		{"no client id, not clean, 3.1.1", "10 0c 0004 4d515454 04 00 0000 0000", packet.V311, packet.ClientIdentifierNotValid},
		{"announces a megabyte", "10 80 80 40", packet.V5, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, plain(), func(b *bed) {
				conn := b.dial(c.v)
				conn.raw(c.hex)
				if c.want != 0 {
					equal(t, "reason", next[*packet.Connack](conn).Reason, c.want)
				}
				conn.closed()
			})
		})
	}
}

func TestConnectDeadline(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{ConnectTimeout: 3 * time.Second}}, func(b *bed) {
		c := b.dial(packet.V5)
		c.raw("10 0e 00")
		began := time.Now()
		c.closed()
		if d := time.Since(began); d < 3*time.Second || d > 4*time.Second {
			t.Errorf("closed after %v, want 3 to 4 s", d)
		}
	})
}

func TestKeepAlive(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		c := b.connect(v, "c", func(p *packet.Connect) { p.KeepAlive = 10 })
		began := time.Now()
		time.Sleep(10 * time.Second)
		c.send(packet.Pingreq{})
		next[packet.Pingresp](c)
		c.disconnected(packet.KeepAliveTimeout)
		if d := time.Since(began); d < 25*time.Second || d > 26*time.Second {
			t.Errorf("closed after %v, want 25 to 26 s", d)
		}
	})
}

// gate is an authoriser with a list of what is allowed.
type gate struct {
	mu    sync.Mutex
	allow []string
	asked []string
}

func (g *gate) Authorize(_ *mqtt.Client, a mqtt.Action, topic string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	what := map[mqtt.Action]string{mqtt.Publish: "publish ", mqtt.Subscribe: "subscribe "}[a] + topic
	g.asked = append(g.asked, what)
	return slices.Contains(g.allow, what)
}

func TestAuthorizerSeesEveryTopic(t *testing.T) {
	g := &gate{allow: []string{"publish ok", "subscribe ok"}}
	run(t, mqtt.Config{Authorizer: g}, func(b *bed) {
		c := b.connect(packet.V5, "c")
		alias := func(p *packet.Publish) { p.TopicAlias = 1 }
		c.publish1("ok", "", alias)
		equal(t, "allowed alias", c.publish1("", "", alias).Reason, packet.NoMatchingSubscribers)
		equal(t, "refused", c.publish1("bad", "", alias).Reason, packet.NotAuthorized)
		equal(t, "refused alias", c.publish1("", "", alias).Reason, packet.NotAuthorized)
		equal(t, "filter", c.subscribe("bad", 0).Reasons[0], packet.NotAuthorized)
		equal(t, "shared filter", c.subscribe("$share/g/ok", 1).Reasons[0], packet.GrantedQoS1)
		old := b.connect(packet.V311, "old")
		equal(t, "3.1.1 filter", old.subscribe("bad", 0).Reasons[0], packet.UnspecifiedError)
		_, ack := b.login(packet.V5, "w", func(p *packet.Connect) { p.Will = &packet.Will{Topic: "bad"} })
		equal(t, "will", ack.Reason, packet.NotAuthorized)
		_, ack = b.login(packet.V5, "w", func(p *packet.Connect) { p.Will = &packet.Will{Topic: "$SYS/x"} })
		equal(t, "will to $SYS", ack.Reason, packet.NotAuthorized)
		want := []string{
			"publish ok", "publish ok", "publish bad", "publish bad", "subscribe bad", "subscribe ok", "subscribe bad", "publish bad",
		}
		equal(t, "asked", g.asked, want)
	})
}

func TestRevocationCutsAConnection(t *testing.T) {
	ends := map[string]mqtt.End{}
	cfg := mqtt.Config{Authenticator: names{}}
	cfg.Observer.Disconnected = func(c *mqtt.Client, e mqtt.End) { ends[c.User.Name] = e }
	run(t, cfg, func(b *bed) {
		user := func(name string) func(*packet.Connect) {
			return func(p *packet.Connect) { p.HasUsername, p.Username = true, name }
		}
		a, other := b.connect(packet.V5, "a", user("a")), b.connect(packet.V5, "b", user("b"))
		n := b.server.Disconnect(func(c *mqtt.Client) bool { return c.User.Name == "a" }, packet.NotAuthorized, "revoked")
		equal(t, "connections", n, 1)
		a.disconnected(packet.NotAuthorized)
		other.send(packet.Pingreq{})
		next[packet.Pingresp](other)
		synctest.Wait()
		equal(t, "observed", ends["a"], mqtt.End{Cause: mqtt.CauseKicked, Reason: packet.NotAuthorized, Text: "revoked"})
	})
}

func TestForgottenUserHasNoSession(t *testing.T) {
	store := mqtt.NewMemoryStore()
	run(t, mqtt.Config{Authenticator: names{}, Store: store}, func(b *bed) {
		user := func(name string) func(*packet.Connect) {
			return func(p *packet.Connect) { p.HasUsername, p.Username = true, name }
		}
		for _, name := range []string{"a", "b"} {
			b.connect(packet.V5, "offline", user(name), lasting).subscribe("#", 1)
		}
		b.server.Disconnect(func(*mqtt.Client) bool { return true }, packet.AdministrativeAction, "")
		synctest.Wait()
		online := b.connect(packet.V5, "online", user("a"), lasting)
		result := make(chan error, 1)
		gone := func(id mqtt.SessionID) bool { return id.User == "a" }
		b.server.Forget(gone, packet.NotAuthorized, "", func(err error) { result <- err })
		online.disconnected(packet.NotAuthorized)
		equal(t, "error", <-result, nil)
		synctest.Wait()
		equal(t, "sessions", b.server.Stats().Sessions, 1)
		equal(t, "subscriptions", b.server.Stats().Subscriptions, 1)
	})
}

func TestLimitsOfConnections(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{Connections: 1}}, func(b *bed) {
		c := b.connect(packet.V5, "a")
		_, ack := b.login(packet.V5, "b")
		equal(t, "5.0", ack.Reason, packet.QuotaExceeded)
		_, ack = b.login(packet.V311, "b")
		equal(t, "3.1.1", ack.Reason, packet.ServerUnavailable)
		c.bye()
		synctest.Wait()
		b.connect(packet.V5, "b")
	})
	run(t, mqtt.Config{Limits: mqtt.Limits{AcceptRate: 1}}, func(b *bed) {
		b.connect(packet.V5, "a")
		_, ack := b.login(packet.V5, "b")
		equal(t, "too fast", ack.Reason, packet.ConnectionRateExceeded)
		time.Sleep(time.Second)
		b.connect(packet.V5, "b")
	})
}

func TestRateOfMessages(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{MessageRate: 2}}, func(b *bed) {
		c := b.connect(packet.V5, "c")
		c.publish1("a", "")
		c.publish1("a", "")
		equal(t, "third within a second", c.publish1("a", "").Reason, packet.QuotaExceeded)
		old := b.connect(packet.V311, "old")
		began := time.Now()
		for range 4 {
			old.publish1("a", "")
		}
		if d := time.Since(began); d < time.Second {
			t.Errorf("3.1.1: four messages took %v, want it to be slowed down to a second", d)
		}
	})
}

// A panic ends its connection and no other; it is reported with its packet.
func TestPanicEndsOneConnection(t *testing.T) {
	var seen []byte
	synctest.Test(t, func(t *testing.T) {
		handler := mqtt.HandlerFunc(func(in *mqtt.Inbound) {
			if in.Topic == "boom" {
				panic("boom")
			}
			in.Forward()
		})
		cfg := mqtt.Config{Handler: handler}
		cfg.Observer.Panic = func(_ *mqtt.Client, _ any, _, p []byte) { seen = bytes.Clone(p) }
		s, err := mqtt.New(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{t: t, server: s}
		c, other := b.connect(packet.V5, "c"), b.connect(packet.V5, "d")
		c.send(publish("boom", "x", 1, 1))
		c.closed()
		other.publish1("fine", "")
		if !strings.Contains(string(seen), "boom") {
			t.Errorf("reported packet %x, want the publish", seen)
		}
		equal(t, "counted", s.Stats().Panics, 1)
		b.connect(packet.V5, "c").publish1("fine", "") // the client may come back
		b.stop()
	})
}
