package mqtt_test

import (
	"errors"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// A store that fails for a while holds back what it has to know of, and not
// for longer.
func TestDeliveryGoesOnWhenTheStoreDoes(t *testing.T) {
	store := &faulty{MemoryStore: mqtt.NewMemoryStore()}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		sub := b.connect(packet.V5, "sub", lasting, func(p *packet.Connect) { p.ReceiveMaximum = 1 })
		sub.subscribe("t", 1)
		pub := b.connect(packet.V5, "pub")
		for _, payload := range []string{"1", "2"} {
			pub.publish1("t", payload)
		}
		p := sub.gets("t", "1")
		store.set(false, errors.New("disk full"))
		sub.ack(packet.PUBACK, p.PacketID)
		sub.quiet()
		pass(3 * time.Second)
		sub.quiet()
		store.set(false, nil)
		pass(2 * time.Second)
		sub.gets("t", "2")
	})
}
