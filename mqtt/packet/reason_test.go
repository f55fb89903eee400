package packet

import "testing"

func TestReasonNames(t *testing.T) {
	tests := map[ReasonCode]string{
		0x00: "Success", 0x04: "Disconnect with Will Message", 0x19: "Re-authenticate", 0x81: "Malformed Packet",
		0x9E: "Shared Subscriptions not supported", 0xA2: "Wildcard Subscriptions not supported",
		0x03: "Reason 0x03", 0xFF: "Reason 0xFF",
	}
	for code, want := range tests {
		if got := code.String(); got != want {
			t.Errorf("0x%02X: got %q, want %q", byte(code), got, want)
		}
	}
}

func TestTypeNames(t *testing.T) {
	for typ, want := range map[Type]string{CONNECT: "CONNECT", AUTH: "AUTH", 0: "RESERVED", 16: "RESERVED"} {
		if got := typ.String(); got != want {
			t.Errorf("%d: got %q, want %q", byte(typ), got, want)
		}
	}
}

func TestReturnCodesOf311(t *testing.T) {
	tests := []struct {
		reason ReasonCode
		code   byte
		ok     bool
	}{
		{Success, 0, true},
		{UnsupportedProtocolVersion, 1, true},
		{ClientIdentifierNotValid, 2, true},
		{ServerUnavailable, 3, true},
		{ServerBusy, 3, true},
		{QuotaExceeded, 3, true},
		{ConnectionRateExceeded, 3, true},
		{BadUserNameOrPassword, 4, true},
		{NotAuthorized, 5, true},
		{Banned, 5, true},
		{MalformedPacket, 0, false},
		{ProtocolError, 0, false},
		{TopicNameInvalid, 0, false},
	}
	for _, tt := range tests {
		if code, ok := tt.reason.V311(); code != tt.code || ok != tt.ok {
			t.Errorf("%v: got %d %v, want %d %v", tt.reason, code, ok, tt.code, tt.ok)
		}
	}
}

func TestEveryCodeOfATableHasAName(t *testing.T) {
	for typ := CONNECT; typ <= AUTH; typ++ {
		for code := range 256 {
			r := ReasonCode(code)
			if r.AllowedIn(typ) && (code >= len(reasonNames) || reasonNames[code] == "") {
				t.Errorf("%v may have 0x%02X, which has no name", typ, code)
			}
		}
	}
}
