package mqtt_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// A broker that lets everybody do everything.
func ExampleNew() {
	ctx := context.Background()
	server, err := mqtt.New(ctx, mqtt.Config{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	fmt.Println(server.Shutdown(ctx))
	// Output: <nil>
}

// A handler that acks when a commit loop has stored the message.
func ExampleHandlerFunc() {
	type stored struct {
		payload string
		in      *mqtt.Inbound
	}
	queue := make(chan stored, 1000)
	handler := mqtt.HandlerFunc(func(in *mqtt.Inbound) {
		if in.Topic == "chat" { // nothing of ours: the engine does it all
			in.Forward()
			return
		}
		queue <- stored{string(in.Payload), in}
	})
	commit := func(batch []stored, err error) { // with in.Changes, in one transaction
		for _, m := range batch {
			if err != nil {
				m.in.Ack(packet.UnspecifiedError, "not stored")
				continue
			}
			m.in.Ack(packet.Success, "")
		}
	}
	_, _ = handler, commit
}
