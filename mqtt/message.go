package mqtt

import (
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Message is an application message on its way through the server. Nobody
// changes one after it was handed over; all subscribers share it.
type Message struct {
	Topic      string
	Payload    []byte
	QoS        byte
	Retain     bool
	Properties packet.PublishProperties // with MessageExpiry as it was received

	// Created is when the server received it; the message expiry counts from
	// here.
	Created time.Time
}

// Expires gives the moment from which the message is not delivered any more,
// and whether there is one.
func (m *Message) Expires() (time.Time, bool) {
	if m.Properties.MessageExpiry == nil {
		return time.Time{}, false
	}
	return m.Created.Add(time.Duration(*m.Properties.MessageExpiry) * time.Second), true
}

// expired reports whether m must not be delivered at now. [MQTT-3.3.2-5]
func (m *Message) expired(now time.Time) bool {
	at, ok := m.Expires()
	return ok && !now.Before(at)
}

// size is what a message counts against bounds in bytes.
func (m *Message) size() int {
	n := len(m.Topic) + len(m.Payload) + messageOverhead
	p := &m.Properties
	n += len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for i := range p.User {
		n += len(p.User[i].Name) + len(p.User[i].Value)
	}
	return n
}

// messageOverhead stands for the fixed parts of a message in memory.
const messageOverhead = 64
