package mqtt

import "sort"

// entryState is where a message in the queue of a session stands.
type entryState byte

const (
	entryPending  entryState = iota // not durable yet: nothing behind it is sent either
	entryReady                      // waits for its turn
	entryInflight                   // sent on this connection, until PUBACK or PUBREC [MQTT-4.3.2-3] [MQTT-4.3.3-3]
	entryRelease                    // PUBREC came and is being stored
	entryReleased                   // PUBREC is stored; PUBREL was sent, or waits for its turn
	entryGone                       // done with; taken out when it gets to the front
)

// entry is one QoS 1 or 2 message for one session. Of a stored session's
// message only the entry is in memory while nothing is to be sent.
type entry struct {
	seq    uint64
	msg    *Message // nil: in the store only
	ids    []uint32
	size   int32
	qos    byte
	state  entryState
	retain bool
	sent   bool // was on the wire on an earlier connection: DUP [MQTT-3.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2]
	marked bool // the store knows that it was sent, or is about to be
}

// queue is the messages of one session in ascending order of seq, which is
// the order of their arrival and the order in which they are sent.
// [MQTT-4.6.0-5] [MQTT-4.6.0-6]
type queue struct {
	all   []entry // all[head:] counts
	head  int
	count int
	bytes int64
	held  int // ready ones with a message in memory
}

func (q *queue) add(e entry) *entry {
	q.all = append(q.all, e)
	q.count++
	q.bytes += int64(e.size)
	return &q.all[len(q.all)-1]
}

// from gives the index in all of the first entry with seq or more.
func (q *queue) from(seq uint64) int {
	live := q.all[q.head:]
	return q.head + sort.Search(len(live), func(i int) bool { return live[i].seq >= seq })
}

// find gives the entry with seq, or nil.
func (q *queue) find(seq uint64) *entry {
	if i := q.from(seq); i < len(q.all) && q.all[i].seq == seq && q.all[i].state != entryGone {
		return &q.all[i]
	}
	return nil
}

// identifiers is the number of packet identifiers: 1 to 65535.
const identifiers = 65535

// packetID gives the identifier that a message is sent with. It follows from
// seq, so that a message keeps it over reconnects and restarts without being
// written down. No other message of the window has it, see [queue.spans].
// [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT-4.4.0-1]
func packetID(seq uint64) uint16 { return uint16(seq%identifiers) + 1 }

// byPacketID gives the entry in flight with the identifier, or nil. The
// entries span less than 65535 numbers, see [queue.spans].
func (q *queue) byPacketID(id uint16) *entry {
	if q.head == len(q.all) || id == 0 {
		return nil
	}
	first := q.all[q.head].seq
	offset := (uint64(id) - 1 + identifiers - first%identifiers) % identifiers
	return q.find(first + offset)
}

// spans reports whether seq is so far from the first entry that their packet
// identifiers could be the same.
func (q *queue) spans(seq uint64) bool { return seq-q.all[q.head].seq >= identifiers }

// remove marks e as done with. Its place is given free by trim.
func (q *queue) remove(e *entry) {
	if e.state == entryReady && e.msg != nil {
		q.held--
	}
	q.count--
	q.bytes -= int64(e.size)
	e.state, e.msg, e.ids = entryGone, nil, nil
}

// trim takes out what is done with at the front, and gives memory back. It
// ends the use of pointers and indices into the queue.
func (q *queue) trim() {
	for q.head < len(q.all) && q.all[q.head].state == entryGone {
		q.head++
	}
	switch {
	case q.head == len(q.all) && cap(q.all) > 64:
		q.all, q.head = nil, 0
	case q.head == len(q.all):
		q.all, q.head = q.all[:0], 0
	case q.head > 64 && q.head > len(q.all)/2:
		n := copy(q.all, q.all[q.head:])
		clear(q.all[n:])
		q.all, q.head = q.all[:n], 0
	}
}

// oldestReady gives the oldest message that was never sent, or nil.
func (q *queue) oldestReady() *entry {
	for i := q.head; i < len(q.all); i++ {
		if e := &q.all[i]; e.state == entryReady && !e.sent {
			return e
		}
	}
	return nil
}
