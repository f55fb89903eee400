package broker

import (
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// encodeMessage gives the message as a PUBLISH packet of MQTT 5.0, the form
// in which the tables keep it.
func encodeMessage(m *mqtt.Message) []byte {
	p := packet.Publish{
		QoS: m.QoS, Retain: m.Retain, Topic: []byte(m.Topic), Payload: m.Payload, Properties: m.Properties,
	}
	if m.QoS > 0 {
		p.PacketID = 1 // the format wants one; nobody reads it
	}
	return p.Append(make([]byte, 0, p.Size(packet.V5)), packet.V5)
}

// decodeMessage keeps b.
func decodeMessage(b []byte, created time.Time) (*mqtt.Message, error) {
	header, n, err := packet.ParseHeader(b)
	if err != nil || header.Type != packet.PUBLISH || n+header.Length != len(b) {
		return nil, fmt.Errorf("a stored MQTT message is damaged: %d bytes, %v", len(b), err)
	}
	var p packet.Publish
	if err := p.Decode(packet.V5, header.Flags, b[n:]); err != nil {
		return nil, fmt.Errorf("a stored MQTT message is damaged: %w", err)
	}
	return &mqtt.Message{
		Topic: string(p.Topic), Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Properties: p.Properties, Created: created,
	}, nil
}
