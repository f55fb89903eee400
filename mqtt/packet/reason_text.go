package packet

import (
	"fmt"
	"strings"
)

var reasonNames = [...]string{
	Success:                     "Success",
	GrantedQoS1:                 "Granted QoS 1",
	GrantedQoS2:                 "Granted QoS 2",
	DisconnectWithWill:          "Disconnect with Will Message",
	NoMatchingSubscribers:       "No matching subscribers",
	NoSubscriptionExisted:       "No subscription existed",
	ContinueAuthentication:      "Continue authentication",
	ReAuthenticate:              "Re-authenticate",
	UnspecifiedError:            "Unspecified error",
	MalformedPacket:             "Malformed Packet",
	ProtocolError:               "Protocol Error",
	ImplementationSpecificError: "Implementation specific error",
	UnsupportedProtocolVersion:  "Unsupported Protocol Version",
	ClientIdentifierNotValid:    "Client Identifier not valid",
	BadUserNameOrPassword:       "Bad User Name or Password",
	NotAuthorized:               "Not authorized",
	ServerUnavailable:           "Server unavailable",
	ServerBusy:                  "Server busy",
	Banned:                      "Banned",
	ServerShuttingDown:          "Server shutting down",
	BadAuthenticationMethod:     "Bad authentication method",
	KeepAliveTimeout:            "Keep Alive timeout",
	SessionTakenOver:            "Session taken over",
	TopicFilterInvalid:          "Topic Filter invalid",
	TopicNameInvalid:            "Topic Name invalid",
	PacketIdentifierInUse:       "Packet Identifier in use",
	PacketIdentifierNotFound:    "Packet Identifier not found",
	ReceiveMaximumExceeded:      "Receive Maximum exceeded",
	TopicAliasInvalid:           "Topic Alias invalid",
	PacketTooLarge:              "Packet too large",
	MessageRateTooHigh:          "Message rate too high",
	QuotaExceeded:               "Quota exceeded",
	AdministrativeAction:        "Administrative action",
	PayloadFormatInvalid:        "Payload format invalid",
	RetainNotSupported:          "Retain not supported",
	QoSNotSupported:             "QoS not supported",
	UseAnotherServer:            "Use another server",
	ServerMoved:                 "Server moved",
	SharedNotSupported:          "Shared Subscriptions not supported",
	ConnectionRateExceeded:      "Connection rate exceeded",
	MaximumConnectTime:          "Maximum connect time",
	SubscriptionIDsNotSupported: "Subscription Identifiers not supported",
	WildcardsNotSupported:       "Wildcard Subscriptions not supported",
}

// String gives the name of r in section 2.4 of the specification; 0x00, which
// has three names there, is "Success". A code that MQTT does not know is
// "Reason 0x42".
func (r ReasonCode) String() string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason 0x%02X", byte(r))
}

// V311 gives the return code of a 3.1.1 CONNACK that says the same as r,
// section 3.2.2.3 there. Where there is none, ok is false and the connection
// is closed without a CONNACK [MQTT-3.2.2-6 of 3.1.1].
func (r ReasonCode) V311() (code byte, ok bool) {
	switch r {
	case Success:
		return 0, true
	case UnsupportedProtocolVersion:
		return 1, true
	case ClientIdentifierNotValid:
		return 2, true
	case ServerUnavailable, ServerBusy, ServerShuttingDown, UseAnotherServer, ServerMoved,
		QuotaExceeded, ConnectionRateExceeded:
		return 3, true
	case BadUserNameOrPassword, BadAuthenticationMethod:
		return 4, true
	case NotAuthorized, Banned:
		return 5, true
	default:
		return 0, false
	}
}

// connackReasonV311 turns a 3.1.1 return code into a reason; it ends at the
// first code that is reserved.
const connackReasonV311 = "\x00\x84\x85\x88\x86\x87"

// The reason codes that each packet may carry, from the table of its section:
// [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1],
// [MQTT-3.7.2-1], [MQTT-3.9.3-2], [MQTT-3.11.3-2], [MQTT-3.14.2-1],
// [MQTT-3.15.2-1].
const (
	connackReasons    = "\x00\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8A\x8C\x90\x95\x97\x99\x9A\x9B\x9C\x9D\x9F"
	pubackReasons     = "\x00\x10\x80\x83\x87\x90\x91\x97\x99"
	pubrelReasons     = "\x00\x92"
	subackReasons     = "\x00\x01\x02\x80\x83\x87\x8F\x91\x97\x9E\xA1\xA2"
	unsubackReasons   = "\x00\x11\x80\x83\x87\x8F\x91"
	disconnectReasons = "\x00\x04\x80\x81\x82\x83\x87\x89\x8B\x8C\x8D\x8E\x8F\x90\x93\x94\x95\x96\x97\x98\x99\x9A\x9B\x9C\x9D\x9E\x9F\xA0\xA1\xA2"
	authReasons       = "\x00\x18\x19"
)

// AllowedIn reports whether a 5.0 packet of type t may carry r. It does not
// tell the two directions apart.
func (r ReasonCode) AllowedIn(t Type) bool {
	codes := ""
	switch t {
	case CONNACK:
		codes = connackReasons
	case PUBACK, PUBREC:
		codes = pubackReasons
	case PUBREL, PUBCOMP:
		codes = pubrelReasons
	case SUBACK:
		codes = subackReasons
	case UNSUBACK:
		codes = unsubackReasons
	case DISCONNECT:
		codes = disconnectReasons
	case AUTH:
		codes = authReasons
	}
	return strings.IndexByte(codes, byte(r)) >= 0
}

// reason reads the reason code of a packet of type t.
func (r *reader) reason(t Type) ReasonCode {
	code := ReasonCode(r.byte("reason code"))
	if r.err == nil && !code.AllowedIn(t) {
		r.fail(protocolError(t.String() + " may not have the reason code " + code.String() + ", section 2.4"))
	}
	return code
}
