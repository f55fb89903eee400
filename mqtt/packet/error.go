package packet

import "errors"

// ErrIncomplete means that the bytes so far are the beginning of something
// valid and that more are needed.
var ErrIncomplete = errors.New("packet: more bytes are needed")

// Error says why a packet is refused. Its connection cannot go on: a receiver
// must close it [MQTT-4.13.1-1], after a CONNACK or DISCONNECT with Reason
// where the version allows one.
type Error struct {
	Reason ReasonCode
	What   string // what is wrong, for people, with the clause of the specification
}

func (e *Error) Error() string { return e.Reason.String() + ": " + e.What }

func malformed(what string) *Error { return &Error{Reason: MalformedPacket, What: what} }

func protocolError(what string) *Error { return &Error{Reason: ProtocolError, What: what} }
