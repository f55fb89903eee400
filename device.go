package trefoil

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// DeviceID names a device: 1–64 characters of A–Z a–z 0–9 . _ - and no dot at
// the start. It is a level of MQTT topics and a part of URLs as it stands.
type DeviceID string

// MaxDeviceID is the largest length of a [DeviceID] in bytes.
const MaxDeviceID = 64

// ParseDeviceID checks s and returns it as an id.
func ParseDeviceID(s string) (DeviceID, error) {
	switch {
	case s == "":
		return "", Errorf(CodeInvalid, "device id is empty; allowed are 1 to %d characters of A-Z a-z 0-9 . _ -", MaxDeviceID)
	case len(s) > MaxDeviceID:
		return "", Errorf(CodeInvalid, "device id has %d bytes; at most %d are allowed", len(s), MaxDeviceID)
	case s[0] == '.':
		return "", Errorf(CodeInvalid, "device id %q starts with a dot; start it with a letter, a digit, _ or -", s)
	}
	for i := range len(s) {
		if !isIDByte(s[i]) {
			return "", Errorf(CodeInvalid, "device id %q has %q at byte %d; allowed are A-Z a-z 0-9 . _ -", s, s[i], i+1)
		}
	}
	return DeviceID(s), nil
}

func isIDByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// Device is a thing with an identity. Times are those of this server.
type Device struct {
	ID       DeviceID
	Name     string // for people; equal to ID when none was given
	Tags     Tags
	Profile  string // name of the kind of device, or ""
	Created  Instant
	Updated  Instant
	Presence Presence
}

// Presence says whether a device has an MQTT connection, since when, and why
// it is as it is. Since is zero for a device that never connected.
type Presence struct {
	Online bool    `json:"online"`
	Reason string  `json:"reason"` // one of the Reason… constants, or "" before the first connection
	Since  Instant `json:"since"`
}

// Reasons of a presence.
const (
	ReasonConnected  = "connected"       // CONNECT was accepted
	ReasonDisconnect = "disconnected"    // the device said goodbye
	ReasonWill       = "will requested"  // DISCONNECT 0x04
	ReasonLost       = "connection lost" // the socket ended without DISCONNECT
	ReasonKeepAlive  = "keepalive timeout"
	ReasonTakenOver  = "taken over by a new connection"
	ReasonKicked     = "disconnected by an administrator"
	ReasonRevoked    = "credential revoked"
	ReasonProtocol   = "protocol error"
	ReasonShutdown   = "server stopped"
	ReasonSlow       = "did not read what was sent to it"
	ReasonInternal   = "server error"
)

// Tags are labels of a device, key to value: {"site": "roanoke"}. In queries
// a tag is written key:value.
type Tags map[string]string

// MaxTags is the largest number of tags of one device.
const MaxTags = 32

// UnmarshalJSON takes an object {"site":"roanoke"} or a list
// ["site:roanoke"]; a list entry without a colon gets the value "".
func (t *Tags) UnmarshalJSON(b []byte) error {
	var list []string
	if json.Unmarshal(b, &list) == nil && list != nil {
		*t = make(Tags, len(list))
		for _, s := range list {
			k, v, _ := strings.Cut(s, ":")
			(*t)[k] = v
		}
		return nil
	}
	m := map[string]string{}
	if err := json.Unmarshal(b, &m); err != nil {
		return Errorf(CodeInvalid, `tags must be an object of strings such as {"site":"roanoke"} or a list such as ["site:roanoke"]`)
	}
	*t = m
	return nil
}

// Validate checks number, keys (1–64 characters without a colon or control
// characters) and values (at most 256 bytes).
func (t Tags) Validate() error {
	if len(t) > MaxTags {
		return Errorf(CodeInvalid, "%d tags; at most %d are allowed", len(t), MaxTags)
	}
	for _, k := range slices.Sorted(maps.Keys(t)) {
		switch {
		case k == "" || len(k) > 64 || strings.ContainsFunc(k, func(r rune) bool { return r == ':' || r < ' ' }):
			return Errorf(CodeInvalid, "tag key %q: 1 to 64 characters without a colon are allowed", k)
		case len(t[k]) > 256 || strings.ContainsFunc(t[k], func(r rune) bool { return r < ' ' }):
			return Errorf(CodeInvalid, "value of tag %q: at most 256 bytes without control characters are allowed", k)
		}
	}
	return nil
}

// Has reports whether the tag key:value is among t; a query without a colon
// asks for the key alone.
func (t Tags) Has(query string) bool {
	k, v, withValue := strings.Cut(query, ":")
	got, ok := t[k]
	return ok && (!withValue || got == v)
}
