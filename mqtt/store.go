package mqtt

import (
	"context"
	"time"
)

// Store holds what survives a restart [MQTT-4.1.0-2 of 3.1.1]: sessions whose expiry is not zero,
// with their subscriptions, queued and in-flight messages and received QoS 2
// identifiers; and retained messages. The package sessiontest has the suite
// that every store passes.
//
// Changes of one [Store.Commit], and all Changes of one [Inbound], become
// durable together or not at all. Changes take effect in the order of the
// calls; a later call is never durable without the earlier ones. Every change
// is idempotent, see the kinds, and may be committed twice in a row; a change
// for a session that is not there, or no longer, has no effect. Times are kept
// to the microsecond at least.
type Store interface {
	// Commit makes changes durable and then calls done exactly once, from any
	// goroutine, also before Commit returns; with an error, none of them is
	// in the store. It does not wait for the disk; it may wait for room in
	// a bounded queue. The slice belongs to the caller again when Commit
	// returns; messages that changes point to never change and may be kept.
	// done does not block.
	Commit(changes []Change, done func(error))

	// Load visits everything that is stored, in any order, before the server
	// takes its first connection.
	Load(ctx context.Context, v Visitor) error

	// Queue reads up to limit entries of a session's queue in ascending order
	// of Seq, beginning after the given one. It sees at least what was
	// committed, and done reported, before it was called.
	Queue(ctx context.Context, id SessionID, after uint64, limit int) ([]Queued, error)
}

// Visitor takes what [Store.Load] finds. An error ends the load and is
// returned as it is.
type Visitor struct {
	Session  func(StoredSession) error
	Retained func(*Message) error
}

// StoredSession is one session as [Store.Load] gives it.
type StoredSession struct {
	ID            SessionID
	Record        SessionRecord
	Subscriptions []SubscriptionRecord
	Received      []uint16     // QoS 2 packet identifiers that wait for PUBREL
	Queue         []QueueEntry // ascending by Seq
}

// QueueEntry is a [Queued] without its message.
type QueueEntry struct {
	Seq      uint64
	Size     int // as Change.Size said
	Sent     bool
	Released bool
}

// SessionRecord is the part of a session that changes at connect and
// disconnect.
type SessionRecord struct {
	Created time.Time
	Service bool // User.Service, so that subscriptions to $SYS survive

	// Expiry is how long the session lives after its connection ended;
	// [Forever] never ends.
	Expiry time.Duration

	// Ends is when the session dies; zero while it is connected, or when it
	// never does. After a crash a session is still marked as connected:
	// its time then counts from the start of the server.
	Ends time.Time

	// NextSeq is greater than every Seq of the session's queue, ever.
	NextSeq uint64

	// Will is the message to publish when the connection ends without
	// DISCONNECT; nil for none. WillAt is when it is due; zero while the
	// session is connected.
	Will      *Message
	WillDelay time.Duration
	WillAt    time.Time
}

// SubscriptionRecord is one subscription of a session.
type SubscriptionRecord struct {
	Filter            string // with $share/group/ where it is shared
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte
	ID                uint32 // subscription identifier; 0: none
}

// Queued is one message in the queue of a session: waiting, or in flight. The
// packet identifier of an entry in flight follows from its Seq, so that it
// survives a restart.
type Queued struct {
	Seq             uint64
	QoS             byte // 1 or 2, as it is delivered
	Retain          bool // the flag as it is delivered
	SubscriptionIDs []uint32
	Sent            bool     // was on the wire before: DUP
	Released        bool     // QoS 2: PUBREC came, only PUBREL and PUBCOMP are left
	Message         *Message // may be nil when Released
}

// ChangeKind says what a [Change] does and which of its fields count.
type ChangeKind byte

// The kinds. Session names the session in all but the last three.
const (
	// SaveSession creates the session or replaces its Record. Subscriptions,
	// queue and identifiers stay.
	SaveSession ChangeKind = 1

	// DeleteSession removes the session with all that belongs to it.
	DeleteSession ChangeKind = 2

	// AddSubscription stores Subscription, or replaces the one with the same
	// Filter.
	AddSubscription ChangeKind = 3

	// RemoveSubscription removes the one with Subscription.Filter.
	RemoveSubscription ChangeKind = 4

	// Enqueue puts Queued into the queue; Size is its size for bounds. An
	// entry with the same Seq is replaced. Many sessions may share one
	// Message; a store may keep it once.
	Enqueue ChangeKind = 5

	// Dequeue removes the entry Seq.
	Dequeue ChangeKind = 6

	// MarkSent sets Sent on the entries up to and including Seq.
	MarkSent ChangeKind = 7

	// Release sets Released on the entry Seq; its message may be forgotten.
	Release ChangeKind = 8

	// AddReceived stores PacketID among the received QoS 2 identifiers.
	AddReceived ChangeKind = 9

	// RemoveReceived removes PacketID from them.
	RemoveReceived ChangeKind = 10

	// Retain stores Message as the retained message of its topic.
	Retain ChangeKind = 11

	// Unretain removes the retained message of Topic.
	Unretain ChangeKind = 12

	// ExpireRetained removes the retained message of Topic if it was created
	// when Message was, or before: a newer one stays.
	ExpireRetained ChangeKind = 13
)

// Change is one step of the stored state. Which fields count is said by Kind.
type Change struct {
	Kind         ChangeKind
	Session      SessionID
	Record       *SessionRecord
	Subscription *SubscriptionRecord
	Queued       *Queued
	Size         int
	Seq          uint64
	PacketID     uint16
	Message      *Message
	Topic        string
}
