package trefoil

// Protocol is the door through which a message came.
type Protocol string

// The doors.
const (
	ViaMQTT Protocol = "mqtt"
	ViaHTTP Protocol = "http"
)

// Message is one inbound MQTT publish or HTTP post. It owns its readings; the
// one who made it must not touch them after handing it over. All readings of
// a message are stored in one commit, or none is.
type Message struct {
	Device   DeviceID
	Via      Protocol
	Received Instant
	Readings []Reading
}

// DropReason says why something that was received is not stored.
type DropReason string

// The reasons. They are stable: part of the API and a label of metrics.
const (
	DropMalformed    DropReason = "malformed_payload" // not what its topic or content type says
	DropForeignTopic DropReason = "foreign_topic"     // topic that the device may not use
	DropUnknownTopic DropReason = "unknown_topic"     // below devices/{id}/ but not one that exists
	DropTooLarge     DropReason = "too_large"         // above a size limit
	DropTooMany      DropReason = "too_many_metrics"  // a metric beyond the device's limit
	DropRate         DropReason = "rate_limit"        // faster than the device may
	DropQueueFull    DropReason = "queue_full"        // QoS 0 or HTTP while the ingest queue was full
	DropUnknown      DropReason = "unknown_device"    // the device was deleted in the meantime
	DropShutdown     DropReason = "server_stopping"   // QoS 0 while the server stopped
	DropRefused      DropReason = "refused"           // refused for another reason, which the detail names

	// NoteClock is an entry of the ledger that drops nothing: the device's
	// time was more than an hour ahead, and the reading is stored with the
	// time of its arrival.
	NoteClock DropReason = "clock_ahead"
)

// DropReasons gives all reasons and notes.
func DropReasons() []DropReason {
	return []DropReason{
		DropMalformed, DropForeignTopic, DropUnknownTopic, DropTooLarge, DropTooMany, DropRate,
		DropQueueFull, DropUnknown, DropShutdown, DropRefused, NoteClock,
	}
}

// Dropped reports whether an entry with this reason means that something was
// not stored. It is false for notes.
func (r DropReason) Dropped() bool { return r != NoteClock }

// Drop is an entry of the ledger: something received and not stored.
type Drop struct {
	Device DeviceID
	Reason DropReason
	Time   Instant // of the latest one
	Count  int64   // messages
	Topic  string  // topic or URL path of the latest one
	Detail string  // what was wrong with the latest one, for people
	Sample []byte  // the beginning of its payload, at most MaxSample bytes
}

// MaxSample is the largest number of payload bytes that a [Drop] keeps.
const MaxSample = 256
