package mqtt

import "sync/atomic"

// ClientStats is a snapshot of one connection.
type ClientStats struct {
	*Client
	InFlightIn    int // received and not yet acknowledged
	InFlightOut   int // sent and not yet acknowledged
	Queued        int // QoS 1 and 2 messages of the session, those in flight included
	Subscriptions int
	MessagesIn    uint64
	MessagesOut   uint64
	BytesIn       uint64
	BytesOut      uint64
	Dropped       uint64 // messages to it that were dropped, those of its queue since the start of the server
	LastError     string // the last refusal that it got, or ""
}

// Stats is a snapshot of the server. The counters grow from its start.
type Stats struct {
	Connections   int
	Sessions      int // offline ones included
	Subscriptions int
	Retained      int
	RetainedBytes int64
	Queued        int // QoS 1 and 2 messages in all sessions

	Accepted      uint64 // connections
	Connected     uint64 // CONNECTs that were accepted
	Refused       uint64 // connections refused before that, logins included
	BadLogins     uint64 // refused by the authenticator
	Disconnected  uint64
	TakenOver     uint64
	KeepAliveLost uint64
	ProtocolFault uint64 // connections closed for a malformed packet or protocol error
	Panics        uint64
	MessagesIn    uint64 // publishes received
	MessagesOut   uint64 // publishes sent
	BytesIn       uint64
	BytesOut      uint64
	Refusals      uint64 // publishes refused by authoriser or handler
	Dropped       uint64 // messages dropped on their way to a session
	StoreErrors   uint64
}

// counters are the growing part of [Stats].
type counters struct {
	accepted, connected, refused, badLogins, disconnected atomic.Uint64
	takenOver, keepAliveLost, protocolFault, panics       atomic.Uint64
	messagesIn, messagesOut, bytesIn, bytesOut            atomic.Uint64
	refusals, dropped, storeErrors                        atomic.Uint64
}
