package packet_test

import (
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// A stream may hold several packets and end within one.
func ExampleDecode() {
	stream := (&packet.Publish{Topic: []byte("a/b"), Payload: []byte("21.5")}).Append(nil, packet.V5)
	stream = (&packet.Ack{Type: packet.PUBACK, PacketID: 7, Reason: packet.NotAuthorized}).Append(stream, packet.V5)
	stream = append(stream, 0x30) // the beginning of another one

	for {
		h, n, err := packet.ParseHeader(stream)
		if errors.Is(err, packet.ErrIncomplete) || err == nil && len(stream) < n+h.Length {
			fmt.Println("waiting for more")
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		p, err := packet.Decode(packet.V5, h, stream[n:n+h.Length])
		if err != nil {
			fmt.Println(err)
			return
		}
		switch p := p.(type) {
		case *packet.Publish:
			fmt.Printf("%s: %s\n", p.Topic, p.Payload)
		case *packet.Ack:
			fmt.Println(p.Type, p.PacketID, p.Reason)
		}
		stream = stream[n+h.Length:]
	}
	// Output:
	// a/b: 21.5
	// PUBACK 7 Not authorized
	// waiting for more
}

func ExampleError() {
	_, _, err := packet.ParseHeader([]byte{0x80})
	var e *packet.Error
	if errors.As(err, &e) {
		fmt.Printf("0x%02X %v\n", byte(e.Reason), e)
	}
	// Output: 0x81 Malformed Packet: reserved flags of SUBSCRIBE have a wrong value [MQTT-2.1.3-1]
}
