package mqtt

import (
	"log/slog"
	"math"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Config is what a [Server] is made of. The zero Config is a working broker
// that lets everybody do everything and keeps sessions in memory.
type Config struct {
	Authenticator Authenticator // nil: everybody, as user ""
	Authorizer    Authorizer    // nil: everything
	Handler       Handler       // nil: a message is acked when Store has what it must hold
	Store         Store         // nil: NewMemoryStore()
	Observer      Observer
	Limits        Limits
	Logger        *slog.Logger     // nil: slog.DiscardHandler
	Now           func() time.Time // nil: time.Now; for expiry, not for deadlines
}

// Limits bound what clients can make the server do. A zero field takes the
// default that its comment names. A negative one means no limit, or the
// largest that the protocol or its codec has; TopicAliases: none.
type Limits struct {
	// Before CONNECT is accepted.
	Connections           int           // at once; 100,000. Over it: CONNACK 0x97
	ConnectionsPerAddress int           // at once from one address; 20,000 (a site behind one NAT)
	AcceptRate            int           // connections per second; 20,000. Over it: CONNACK 0x9F
	ConnectTimeout        time.Duration // until CONNECT is complete; 10 s
	ConnectSize           int           // bytes of the CONNECT packet; 64 KiB
	LoginDelay            time.Duration // answer to a refused login, doubled per address up to 8 times; 250 ms

	// Announced in CONNACK, or closing the connection with the reason that
	// the specification names.
	PacketSize       int           // bytes of a packet; 1 MiB. 0x95
	ReceiveMaximum   int           // QoS 1 and 2 messages of a client in flight; 256. 0x93
	TopicAliases     int           // per direction; 32. 0x94
	KeepAlive        time.Duration // longest, also for clients that want none; 0: what the client says
	SessionExpiry    time.Duration // longest; 30 days
	TopicLength      int           // bytes of topics and filters; 1,024
	TopicLevels      int           // levels of topics and filters; 64
	Subscriptions    int           // per session; 1,000. 0x97
	Sessions         int           // in all, offline ones included; 1,000,000. 0x97
	MessageRate      int           // publishes per second of a client; unlimited. 0x97
	ByteRate         int           // payload bytes per second of a client; unlimited. 0x97
	UserProperties   int           // per packet; 64. 0x97
	Retained         int           // retained messages; 1,000,000. 0x97
	RetainedBytes    int64         // bytes of all of them; 1 GiB. 0x97
	PendingPublishes int           // of one connection at the handler, QoS 0 included; 512. Then it is not read
	PendingBytes     int           // bytes of those; 1 MiB. Then it is not read

	// Towards subscribers.
	QueueMessages     int           // QoS 1 and 2 messages per stored session; 10,000. The oldest is dropped
	QueueBytes        int64         // bytes of those; 64 MiB. The oldest is dropped
	MemoryQueue       int           // those of a connected session that are kept in memory too; 256
	TransientMessages int           // QoS 1 and 2 messages per session that ends with its connection; 10,000. It is closed with 0x97
	TransientBytes    int64         // bytes of those; 8 MiB. It is closed with 0x97
	OutboundBytes     int           // bytes that wait for a connection; 256 KiB. QoS 0 is dropped, QoS 1 and 2 waits in the queue
	InflightOut       int           // QoS 1 and 2 messages in flight to a client, also when it allows more; 100
	WriteTimeout      time.Duration // a connection that takes no byte for so long is closed; 20 s
}

func (l Limits) withDefaults() Limits {
	def(&l.Connections, 100_000)
	def(&l.ConnectionsPerAddress, 20_000)
	def(&l.AcceptRate, 20_000)
	def(&l.ConnectTimeout, 10*time.Second)
	def(&l.ConnectSize, 64<<10)
	def(&l.LoginDelay, 250*time.Millisecond)
	def(&l.PacketSize, 1<<20)
	def(&l.ReceiveMaximum, 256)
	def(&l.TopicAliases, 32)
	def(&l.SessionExpiry, 30*24*time.Hour)
	def(&l.TopicLength, 1024)
	def(&l.TopicLevels, 64)
	def(&l.Subscriptions, 1000)
	def(&l.Sessions, 1_000_000)
	def(&l.UserProperties, 64)
	def(&l.Retained, 1_000_000)
	def(&l.RetainedBytes, 1<<30)
	def(&l.PendingPublishes, 512)
	def(&l.PendingBytes, 1<<20)
	def(&l.QueueMessages, 10_000)
	def(&l.QueueBytes, 64<<20)
	def(&l.MemoryQueue, 256)
	def(&l.TransientMessages, 10_000)
	def(&l.TransientBytes, 8<<20)
	def(&l.OutboundBytes, 256<<10)
	def(&l.InflightOut, 100)
	def(&l.WriteTimeout, 20*time.Second)
	return l.clamped()
}

// clamped brings fields into the range that the protocol has, or that keeps
// sums with them from overflowing.
func (l Limits) clamped() Limits {
	const large = 1 << 30
	l.TopicAliases = max(0, l.TopicAliases)
	for _, f := range []struct {
		p       *int
		largest int
	}{
		{&l.ReceiveMaximum, math.MaxUint16},
		{&l.TopicAliases, math.MaxUint16},
		{&l.InflightOut, math.MaxUint16},
		{&l.PacketSize, packet.MaxRemainingLength},
		{&l.ConnectSize, packet.MaxRemainingLength},
		{&l.TopicLength, math.MaxUint16},
		{&l.TopicLevels, packet.MaxTopicLevels},
		{&l.UserProperties, large},
		{&l.PendingPublishes, large},
		{&l.PendingBytes, large},
		{&l.OutboundBytes, large},
		{&l.MemoryQueue, large},
	} {
		if *f.p < 0 || *f.p > f.largest {
			*f.p = f.largest
		}
	}
	for _, d := range []*time.Duration{&l.ConnectTimeout, &l.WriteTimeout} {
		if *d < 0 {
			*d = Forever
		}
	}
	return l
}

func def[T int | int64 | time.Duration](p *T, value T) {
	if *p == 0 {
		*p = value
	}
}
