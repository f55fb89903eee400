package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// subscriber is a backend with a persistent session that follows all devices.
type subscriber struct {
	who identity
	qos byte

	mu         sync.Mutex
	known      bool // a CONNACK came
	subscribed bool
	ready      chan struct{}  // closed when it is subscribed
	held       map[uint16]int // QoS 2 identifiers between PUBLISH and PUBREL, with the number
	unmarked   []int          // QoS 2 messages that came again without DUP
	from       map[string]*sequence
}

// sequence is what came of one publisher.
type sequence struct {
	last     int
	repeated []int
	missing  []int // skipped, and not come yet
	late     []int // came after a higher number
}

func (s *sequence) add(number int) {
	switch i := slices.Index(s.missing, number); {
	case number == s.last+1:
		s.last = number
	case i >= 0:
		s.late = append(s.late, number)
		s.missing = slices.Delete(s.missing, i, i+1)
	case number <= s.last:
		s.repeated = append(s.repeated, number)
	default:
		for n := s.last + 1; n < number; n++ {
			s.missing = append(s.missing, n)
		}
		s.last = number
	}
}

func newSubscriber(who identity, qos byte) *subscriber {
	return &subscriber{
		who: who, qos: qos, ready: make(chan struct{}),
		held: map[uint16]int{}, from: map[string]*sequence{},
	}
}

// run subscribes and receives until ctx ends. An error is a fault of the server.
func (s *subscriber) run(ctx context.Context, addr string) error {
	return forever(ctx, addr, s.who, func(l *link) error {
		if err := s.begin(l); err != nil {
			return err
		}
		return l.receive(s.handle)
	})
}

func (s *subscriber) begin(l *link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && !l.present {
		return errors.New("the server has lost the session of the subscriber")
	}
	s.known = true
	if s.subscribed {
		return nil
	}
	sub := packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "devices/+/telemetry", QoS: s.qos}}}
	_ = l.send(sub.Append(nil, l.version)) // a server that is gone is seen by the reader
	return nil
}

func (s *subscriber) handle(h packet.Header, body []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch h.Type {
	case packet.SUBACK:
		return nil, s.granted(h, body)
	case packet.PUBLISH:
		return s.message(h, body)
	case packet.PUBREL:
		rel, err := decodeAck(s.who.version, h, body)
		comp := packet.Ack{Type: packet.PUBCOMP, PacketID: rel.PacketID}
		if _, held := s.held[rel.PacketID]; !held {
			comp.Reason = packet.PacketIdentifierNotFound // PUBCOMP was lost
		}
		delete(s.held, rel.PacketID)
		return comp.Append(nil, s.who.version), err
	default:
		return nil, fmt.Errorf("subscriber got %v", h.Type)
	}
}

func (s *subscriber) granted(h packet.Header, body []byte) error {
	var ack packet.Suback
	if err := ack.Decode(s.who.version, h.Type, body); err != nil {
		return err
	}
	if len(ack.Reasons) != 1 || byte(ack.Reasons[0]) != s.qos {
		return fmt.Errorf("subscriber was granted %v, want %d", ack.Reasons, s.qos)
	}
	if !s.subscribed {
		s.subscribed = true
		close(s.ready)
	}
	return nil
}

// message delivers a message at once, and a QoS 2 message once, see figure
// 4.3 of the specification.
func (s *subscriber) message(h packet.Header, body []byte) ([]byte, error) {
	var p packet.Publish
	if err := p.Decode(s.who.version, h.Flags, body); err != nil {
		return nil, err
	}
	number, err := numberOf(p.Payload)
	if err != nil || p.QoS == 0 || p.QoS > s.qos {
		return nil, fmt.Errorf("subscriber with QoS %d got %q from %s with QoS %d: %v", s.qos, p.Payload, p.Topic, p.QoS, err)
	}
	ack := packet.Ack{Type: packet.PUBACK, PacketID: p.PacketID}
	if p.QoS == 2 {
		ack.Type = packet.PUBREC
		before, again := s.held[p.PacketID]
		if again && before != number {
			return nil, fmt.Errorf("subscriber got message %d with identifier %d, which is that of %d and not released",
				number, p.PacketID, before)
		}
		s.held[p.PacketID] = number
		if again {
			if !p.Dup {
				s.unmarked = append(s.unmarked, number)
			}
			return ack.Append(nil, s.who.version), nil
		}
	}
	device := strings.TrimSuffix(strings.TrimPrefix(string(p.Topic), "devices/"), "/telemetry")
	if s.from[device] == nil {
		s.from[device] = &sequence{}
	}
	s.from[device].add(number)
	return ack.Append(nil, s.who.version), nil
}

// numberOf reads what [publisher.append] wrote.
func numberOf(payload []byte) (int, error) {
	var readings []struct{ N int }
	if err := json.Unmarshal(payload, &readings); err != nil {
		return 0, err
	}
	if len(readings) == 0 {
		return 0, errors.New("no readings")
	}
	return readings[0].N, nil
}

// last is the highest number that came from the device.
func (s *subscriber) last(device string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from := s.from[device]; from != nil {
		return from.last
	}
	return 0
}
