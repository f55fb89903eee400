package mqtt_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

func willed(w packet.Will) func(*packet.Connect) {
	return func(p *packet.Connect) { p.Will = &w }
}

func TestWhenAWillIsPublished(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(b *bed, c *client)
		want bool
		only packet.Version
	}{
		{"connection lost", func(_ *bed, c *client) { c.drop() }, true, 0},
		{"goodbye", func(_ *bed, c *client) { c.bye() }, false, 0},
		{"DISCONNECT 0x04", func(_ *bed, c *client) { c.send(&packet.Disconnect{Reason: packet.DisconnectWithWill}) }, true, packet.V5},
		{"DISCONNECT 0x04, short", func(_ *bed, c *client) { c.raw("e0 01 04") }, true, packet.V5},
		{"protocol error", func(_ *bed, c *client) { c.raw("00 00") }, true, 0},
		{"keep alive", func(*bed, *client) { time.Sleep(16 * time.Second) }, true, 0},
		{"kicked", func(b *bed, _ *client) {
			b.server.Disconnect(func(c *mqtt.Client) bool { return c.Session.ClientID == "c" }, packet.AdministrativeAction, "")
		}, true, 0},
		{"taken over", func(b *bed, c *client) { b.connect(c.version, "c") }, true, 0},
	} {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			if c.only != 0 && c.only != v {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				run(t, plain(), func(b *bed) {
					watch := b.connect(v, "watch")
					watch.subscribe("gone/#", 1)
					client := b.connect(v, "c", willed(packet.Will{Topic: "gone/c", QoS: 1}), func(p *packet.Connect) { p.KeepAlive = 10 })
					c.end(b, client)
					synctest.Wait()
					if got := len(watch.frames) == 1; got != c.want {
						t.Fatalf("will published: %v, want %v", got, c.want)
					}
					if c.want {
						watch.gets("gone/c", "") // an empty payload is legal
					}
				})
			})
		}
	}
}

func TestWillCarriesItsProperties(t *testing.T) {
	run(t, plain(), func(b *bed) {
		want := packet.PublishProperties{
			PayloadFormat: 1, ContentType: "text", ResponseTopic: "r", CorrelationData: []byte("c"), MessageExpiry: ptr(uint32(60)),
			User: []packet.UserProperty{{Name: "k", Value: "v"}},
		}
		watch := b.connect(packet.V5, "watch")
		watch.subscribe("w", 2)
		b.connect(packet.V5, "c", willed(packet.Will{Topic: "w", Payload: []byte("x"), QoS: 2, Retain: true, Properties: want})).drop()
		p := watch.gets("w", "x")
		equal(t, "properties", p.Properties, want)
		equal(t, "QoS", p.QoS, 2)
		late := b.connect(packet.V5, "late")
		late.subscribe("w", 0)
		equal(t, "retained", late.gets("w", "x").Retain, true)
	})
}

func TestDelayedWill(t *testing.T) {
	run(t, plain(), func(b *bed) {
		watch := b.connect(packet.V5, "watch")
		watch.subscribe("w", 0)
		will := willed(packet.Will{Topic: "w", Payload: []byte("x"), Delay: 30})
		b.connect(packet.V5, "c", lasting, will).drop()
		time.Sleep(20 * time.Second)
		back := b.connect(packet.V5, "c", lasting, will)
		time.Sleep(20 * time.Second)
		watch.quiet() // the client was back in time
		back.drop()
		time.Sleep(29 * time.Second)
		watch.quiet()
		time.Sleep(2 * time.Second)
		watch.gets("w", "x")

		short := func(p *packet.Connect) { p.CleanStart, p.SessionExpiry = false, 5 }
		b.connect(packet.V5, "d", short, will).drop()
		time.Sleep(6 * time.Second)
		watch.gets("w", "x") // the end of the session comes before the delay
	})
}

// A will of a stored session is published after a crash.
func TestWillSurvivesACrash(t *testing.T) {
	store := mqtt.NewMemoryStore()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, mqtt.Config{Store: store})
		b.connect(packet.V5, "c", lasting, willed(packet.Will{Topic: "w", Payload: []byte("x"), Delay: 1}))
		b.stop() // to the store, a stop without goodbye of the client is a crash
		b = start(t, mqtt.Config{Store: store})
		defer b.stop()
		watch := b.connect(packet.V5, "watch")
		watch.subscribe("w", 0)
		time.Sleep(2 * time.Second)
		watch.gets("w", "x")
	})
}

func TestShutdown(t *testing.T) {
	h := newSlow()
	synctest.Test(t, func(t *testing.T) {
		h = newSlow()
		b := start(t, mqtt.Config{Handler: h})
		five, old := b.connect(packet.V5, "five"), b.connect(packet.V311, "old")
		for _, c := range []*client{five, old} {
			c.send(publish("a", "x", 1, 4))
		}
		done := make(chan struct{})
		go func() { b.stop(); close(done) }()
		synctest.Wait()
		five.quiet()
		(<-h.got).Ack(packet.Success, "")
		(<-h.got).Ack(packet.Success, "")
		for _, c := range []*client{five, old} {
			equal(t, "what was accepted is acked", next[*packet.Ack](c).PacketID, 4)
			c.disconnected(packet.ServerShuttingDown)
		}
		<-done
	})
}

func TestOwnPublish(t *testing.T) {
	store := &faulty{MemoryStore: mqtt.NewMemoryStore()}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		sub := b.connect(packet.V5, "sub", lasting)
		sub.subscribe("cmd", 1)
		sub.drop()
		result := make(chan error, 1)
		post := func() {
			b.server.Publish(&mqtt.Message{Topic: "cmd", Payload: []byte("go"), QoS: 1}, func(err error) { result <- err })
		}
		store.set(true, nil)
		post()
		synctest.Wait()
		equal(t, "done before the store", len(result), 0)
		store.set(false, nil)
		equal(t, "error", <-result, nil)
		full := errors.New("disk full")
		store.set(false, full)
		post()
		if err := <-result; !errors.Is(err, full) {
			t.Errorf("error = %v, want that of the store", err)
		}
		store.set(false, nil)
		sub = b.connect(packet.V5, "sub", lasting)
		sub.gets("cmd", "go")
		sub.quiet()
	})
}
