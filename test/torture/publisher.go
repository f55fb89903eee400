package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// publisher is a device that sends numbered messages and keeps its side of
// the session as the specification asks: what is not acknowledged is sent
// again, in its order and with its identifier.
type publisher struct {
	who     identity
	device  string
	qos     byte
	base    int64 // Unix ms; message n says that it was measured n ms later
	window  int
	reached func() int // number that the slowest subscriber has got to

	mu       sync.Mutex
	inflight []flight // in the order in which they were sent first
	sent     int      // the highest number so far
	lastID   uint16
	known    bool // a CONNACK came
	finish   bool // no new numbers
}

// flight is a message that is not acknowledged.
type flight struct {
	id       uint16
	number   int
	released bool // PUBREC came
}

const (
	beat    = 10 * time.Millisecond // between bursts of new messages
	burst   = 2                     // messages at once
	maxLead = 400                   // messages ahead of the slowest subscriber
)

// run publishes until ctx ends. An error is a fault of the server.
func (p *publisher) run(ctx context.Context, addr string) error {
	return forever(ctx, addr, p.who, func(l *link) error {
		if err := p.begin(l); err != nil {
			return err
		}
		var work sync.WaitGroup
		work.Go(func() { p.feed(l) })
		err := l.receive(p.handle)
		work.Wait()
		return err
	})
}

// begin sends again what the server may not have.
func (p *publisher) begin(l *link) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known && !l.present {
		return errors.New("the server has lost the session of the publisher")
	}
	p.known = true
	var b []byte
	for _, f := range p.inflight {
		if f.released {
			rel := packet.Ack{Type: packet.PUBREL, PacketID: f.id}
			b = rel.Append(b, l.version)
		} else {
			b = p.append(b, f, true)
		}
	}
	_ = l.send(b) // a server that is gone is seen by the reader
	return nil
}

// append encodes the message of f: one reading with the time of the server,
// of which a double shows, and one with a time of its own.
func (p *publisher) append(b []byte, f flight, again bool) []byte {
	m := packet.Publish{
		Dup: again, QoS: p.qos, PacketID: f.id, Topic: []byte("devices/" + p.device + "/telemetry"),
		Payload: fmt.Appendf(nil, `[{"n":%d},{"ts":%d,"m":%d}]`, f.number, p.base+int64(f.number), f.number),
	}
	return m.Append(b, p.who.version)
}

// feed sends new messages until the connection ends.
func (p *publisher) feed(l *link) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if b := p.more(min(p.window, l.window)); len(b) > 0 && l.send(b) != nil {
			return // the reader sees why
		}
		select {
		case <-tick.C:
		case <-l.ended:
			return
		}
	}
}

func (p *publisher) more(window int) (b []byte) {
	reached := p.reached()
	p.mu.Lock()
	defer p.mu.Unlock()
	for range burst {
		if p.finish || len(p.inflight) >= window || p.sent-reached >= maxLead {
			break
		}
		p.sent++
		f := flight{id: p.freeID(), number: p.sent}
		p.inflight = append(p.inflight, f)
		b = p.append(b, f, false)
	}
	return b
}

func (p *publisher) freeID() uint16 {
	for {
		p.lastID++
		if p.lastID != 0 && p.find(p.lastID) < 0 {
			return p.lastID
		}
	}
}

func (p *publisher) find(id uint16) int {
	return slices.IndexFunc(p.inflight, func(f flight) bool { return f.id == id })
}

func (p *publisher) handle(h packet.Header, body []byte) ([]byte, error) {
	if h.Type != packet.PUBACK && h.Type != packet.PUBREC && h.Type != packet.PUBCOMP {
		return nil, fmt.Errorf("publisher got %v", h.Type)
	}
	a, err := decodeAck(p.who.version, h, body)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.find(a.PacketID)
	if i < 0 || (h.Type == packet.PUBACK) != (p.qos == 1) {
		return nil, fmt.Errorf("publisher got %v of %d, which it did not ask for", h.Type, a.PacketID)
	}
	if h.Type == packet.PUBREC {
		p.inflight[i].released = true
		rel := packet.Ack{Type: packet.PUBREL, PacketID: a.PacketID}
		return rel.Append(nil, p.who.version), nil
	}
	if p.qos == 2 && !p.inflight[i].released {
		return nil, fmt.Errorf("publisher got PUBCOMP of %d before PUBREC", a.PacketID)
	}
	p.inflight = slices.Delete(p.inflight, i, i+1)
	return nil, nil
}

// stop lets no new message go out.
func (p *publisher) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish = true
}

// state gives how many messages were sent, and the numbers of those that are
// not acknowledged.
func (p *publisher) state() (sent int, open []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.inflight {
		open = append(open, f.number)
	}
	return p.sent, open
}
