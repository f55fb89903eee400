// Package packet is the wire format of MQTT 3.1.1 and 5.0: the types of the
// packets, and functions that read and write them. It does no input or output.
//
// Every type has a method Decode for the bytes behind the fixed header and a
// method Append for the whole packet. Decode sets every field, so that a value
// can be used again. Byte slices of a decoded packet alias the bytes that it
// was decoded from; a caller who keeps one longer than the buffer copies it.
// Strings are copies. What Decode refuses it refuses with an [*Error].
//
// Clauses are cited as [MQTT-3.1.2-3]; they are those of MQTT 5.0 unless a
// comment says 3.1.1.
package packet

// Version is the protocol level of CONNECT.
type Version byte

// The versions.
const (
	V311 Version = 4
	V5   Version = 5
)

// Type is the type of a control packet.
type Type byte

// The types.
const (
	CONNECT     Type = 1
	CONNACK     Type = 2
	PUBLISH     Type = 3
	PUBACK      Type = 4
	PUBREC      Type = 5
	PUBREL      Type = 6
	PUBCOMP     Type = 7
	SUBSCRIBE   Type = 8
	SUBACK      Type = 9
	UNSUBSCRIBE Type = 10
	UNSUBACK    Type = 11
	PINGREQ     Type = 12
	PINGRESP    Type = 13
	DISCONNECT  Type = 14
	AUTH        Type = 15
)

// Header is the fixed header of a packet.
type Header struct {
	Type   Type
	Flags  byte // the lower four bits
	Length int  // bytes that follow the header
	Padded bool // the length was written in more bytes than it needs
}

// UserProperty is a name and a value that MQTT passes on unchanged. Order and
// repetition matter.
type UserProperty struct{ Name, Value string }

// Will is the will of a CONNECT.
type Will struct {
	Topic      string
	Payload    []byte
	QoS        byte
	Retain     bool
	Delay      uint32 // seconds; 5.0
	Properties PublishProperties
}

// PublishProperties are the 5.0 properties that travel with a message from
// publisher to subscriber. A nil pointer or slice means that the property is
// absent; an empty non-nil slice, that it is there and empty.
type PublishProperties struct {
	PayloadFormat   byte    // 0: bytes, 1: UTF-8
	MessageExpiry   *uint32 // seconds
	ContentType     string
	EmptyContent    bool // the content type is there and empty, which must be sent on [MQTT-3.3.2-20]
	ResponseTopic   string
	CorrelationData []byte
	User            []UserProperty
}

// Connect is a CONNECT packet.
type Connect struct {
	Version     Version
	CleanStart  bool // Clean Session in 3.1.1
	KeepAlive   uint16
	ClientID    string
	Will        *Will
	HasUsername bool
	Username    string
	HasPassword bool
	Password    []byte

	// 5.0
	SessionExpiry         uint32 // seconds; 0xFFFFFFFF: never
	ReceiveMaximum        uint16 // 65535 when absent
	MaximumPacketSize     uint32 // 0: no limit
	TopicAliasMaximum     uint16
	RequestResponseInfo   bool
	RequestProblemInfo    bool // true when absent
	User                  []UserProperty
	AuthenticationMethod  string
	HasAuthenticationData bool
	AuthenticationData    []byte
}

// Connack is a CONNACK packet. For 3.1.1 Reason must be one of the codes that
// [ReasonCode.V311] gives.
type Connack struct {
	SessionPresent bool
	Reason         ReasonCode

	// 5.0; nil means absent
	SessionExpiry        *uint32
	ReceiveMaximum       uint16 // 0: absent
	MaximumQoS           *byte
	RetainAvailable      *bool
	MaximumPacketSize    uint32 // 0: absent
	AssignedClientID     string
	TopicAliasMaximum    uint16 // 0: absent
	ReasonString         string
	User                 []UserProperty
	WildcardAvailable    *bool
	SubscriptionIDs      *bool
	SharedAvailable      *bool
	ServerKeepAlive      *uint16
	ResponseInformation  string
	ServerReference      string
	AuthenticationMethod string
	AuthenticationData   []byte
}

// Publish is a PUBLISH packet. Topic and Payload alias the buffer.
type Publish struct {
	Dup             bool
	QoS             byte
	Retain          bool
	Topic           []byte // empty when a topic alias stands for it
	PacketID        uint16 // 0 for QoS 0
	TopicAlias      uint16 // 0: absent
	SubscriptionIDs []uint32
	Properties      PublishProperties
	Payload         []byte
}

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP packet.
type Ack struct {
	Type         Type
	PacketID     uint16
	Reason       ReasonCode
	ReasonString string
	User         []UserProperty
}

// Subscription is one filter of a SUBSCRIBE with its options.
type Subscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte // 0: send retained, 1: only if the subscription is new, 2: do not
}

// Subscribe is a SUBSCRIBE packet.
type Subscribe struct {
	PacketID       uint16
	SubscriptionID uint32 // 0: absent
	User           []UserProperty
	Subscriptions  []Subscription
}

// Unsubscribe is an UNSUBSCRIBE packet.
type Unsubscribe struct {
	PacketID uint16
	User     []UserProperty
	Filters  []string
}

// Suback is a SUBACK or UNSUBACK packet; an UNSUBACK of 3.1.1 has no reasons
// on the wire.
type Suback struct {
	Type         Type
	PacketID     uint16
	ReasonString string
	User         []UserProperty
	Reasons      []ReasonCode
}

// Disconnect is a DISCONNECT packet.
type Disconnect struct {
	Reason          ReasonCode
	SessionExpiry   *uint32
	ReasonString    string
	ServerReference string
	User            []UserProperty
}

// Auth is an AUTH packet.
type Auth struct {
	Reason       ReasonCode
	Method       string
	HasData      bool
	Data         []byte
	ReasonString string
	User         []UserProperty
}
