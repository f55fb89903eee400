package packet

import (
	"errors"
	"strings"
	"testing"
)

// refused are packets that end their connection.
type refused struct {
	name   string // the rule
	v      Version
	first  byte
	body   string
	reason ReasonCode
	what   string // part of the text
}

func checkRefused(t *testing.T, tests []refused) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeAll(t, tt.v, packed(t, tt.first, tt.body))
			reason, what := reasonOf(err)
			if reason != tt.reason || !strings.Contains(what, tt.what) {
				t.Errorf("got %v %q, want %v with %q", reason, what, tt.reason, tt.what)
			}
		})
	}
}

func TestRefusedFixedHeaders(t *testing.T) {
	checkRefused(t, []refused{
		{"type 0 is reserved", V5, 0x00, "", MalformedPacket, "type 0"},
		{"CONNECT with flags [MQTT-2.1.3-1]", V5, 0x11, "", MalformedPacket, "CONNECT"},
		{"CONNACK with flags [MQTT-2.1.3-1]", V5, 0x28, "", MalformedPacket, "CONNACK"},
		{"PUBACK with flags [MQTT-2.1.3-1]", V5, 0x42, "0001", MalformedPacket, "PUBACK"},
		{"PUBREC with flags [MQTT-2.1.3-1]", V5, 0x52, "0001", MalformedPacket, "PUBREC"},
		{"PUBREL without its flags [MQTT-3.6.1-1]", V5, 0x60, "0001", MalformedPacket, "PUBREL"},
		{"PUBCOMP with flags [MQTT-2.1.3-1]", V5, 0x72, "0001", MalformedPacket, "PUBCOMP"},
		{"SUBSCRIBE without its flags [MQTT-3.8.1-1]", V5, 0x80, "", MalformedPacket, "SUBSCRIBE"},
		{"SUBACK with flags [MQTT-2.1.3-1]", V5, 0x92, "", MalformedPacket, "SUBACK"},
		{"UNSUBSCRIBE without its flags [MQTT-3.10.1-1]", V5, 0xA3, "", MalformedPacket, "UNSUBSCRIBE"},
		{"UNSUBACK with flags [MQTT-2.1.3-1]", V5, 0xB2, "", MalformedPacket, "UNSUBACK"},
		{"PINGREQ with flags [MQTT-2.1.3-1]", V5, 0xC1, "", MalformedPacket, "PINGREQ"},
		{"PINGREQ with a body", V5, 0xC0, "00", MalformedPacket, "PINGREQ"},
		{"PINGRESP with flags [MQTT-2.1.3-1]", V5, 0xD1, "", MalformedPacket, "PINGRESP"},
		{"DISCONNECT with flags [MQTT-3.14.1-1]", V5, 0xE1, "", MalformedPacket, "DISCONNECT"},
		{"AUTH with flags [MQTT-3.15.1-1]", V5, 0xF1, "", MalformedPacket, "AUTH"},
		{"AUTH in 3.1.1", V311, 0xF0, "", MalformedPacket, "reserved in 3.1.1"},
	})
}

func TestRefusedConnects(t *testing.T) {
	const will = "0004'MQTT' 05 06 0000 00 0001'c' "
	checkRefused(t, []refused{
		{"another protocol [MQTT-3.1.2-1]", 0, 0x10, "0004'HTTP' 05 02 0000 00 0000", UnsupportedProtocolVersion, "MQTT-3.1.2-1"},
		{"protocol name in small letters [MQTT-3.1.2-1]", 0, 0x10, "0004'mqtt' 05 02 0000 00 0000", UnsupportedProtocolVersion, "MQTT-3.1.2-1"},
		{"3.1 [MQTT-3.1.2-2]", 0, 0x10, "0006'MQIsdp' 03 02 003C 0001'c'", UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
		{"level 6 [MQTT-3.1.2-2]", 0, 0x10, "0004'MQTT' 06 02 0000 00 0000", UnsupportedProtocolVersion, "MQTT-3.1.2-2"},
		{"reserved flag, 3.1.1 [MQTT-3.1.2-3]", 0, 0x10, "0004'MQTT' 04 03 0000 0001'c'", MalformedPacket, "MQTT-3.1.2-3"},
		{"reserved flag, 5.0 [MQTT-3.1.2-3]", 0, 0x10, "0004'MQTT' 05 03 0000 00 0001'c'", MalformedPacket, "MQTT-3.1.2-3"},
		{"will QoS without will [MQTT-3.1.2-11]", 0, 0x10, "0004'MQTT' 05 0A 0000 00 0001'c'", MalformedPacket, "MQTT-3.1.2-11"},
		{"will QoS 3 [MQTT-3.1.2-12]", 0, 0x10, "0004'MQTT' 04 1E 0000 0001'c' 0001'w' 0000", MalformedPacket, "MQTT-3.1.2-12"},
		{"will retain without will [MQTT-3.1.2-13]", 0, 0x10, "0004'MQTT' 05 22 0000 00 0001'c'", MalformedPacket, "MQTT-3.1.2-13"},
		{"password without user name [MQTT-3.1.2-22 of 3.1.1]", 0, 0x10, "0004'MQTT' 04 42 0000 0001'c' 0001'p'", MalformedPacket, "MQTT-3.1.2-22"},
		{"empty identifier without clean session [MQTT-3.1.3-8 of 3.1.1]", 0, 0x10, "0004'MQTT' 04 00 0000 0000", ClientIdentifierNotValid, "MQTT-3.1.3-8"},
		{"identifier that is not UTF-8 [MQTT-3.1.3-4]", 0, 0x10, "0004'MQTT' 05 02 0000 00 0001 FF", MalformedPacket, "client identifier"},
		{"user name that is not UTF-8 [MQTT-3.1.3-12]", 0, 0x10, "0004'MQTT' 05 82 0000 00 0000 0002 C080", MalformedPacket, "user name"},
		{"missing user name [MQTT-3.1.2-17]", 0, 0x10, "0004'MQTT' 05 82 0000 00 0000", MalformedPacket, "user name"},
		{"missing password [MQTT-3.1.2-19]", 0, 0x10, "0004'MQTT' 05 C2 0000 00 0000 0000", MalformedPacket, "password"},
		{"missing will", 0, 0x10, will, MalformedPacket, "ends within"},
		{"bytes behind the end", 0, 0x10, "0004'MQTT' 05 02 0000 00 0000 00", MalformedPacket, "behind its end"},
		{"will topic with a wildcard", 0, 0x10, will + "00 0003'a/#' 0000", MalformedPacket, "will: topic name has a wildcard"},
		{"empty will topic [MQTT-4.7.3-1]", 0, 0x10, will + "00 0000 0000", MalformedPacket, "will: topic name is empty"},
		{"will topic with too many levels", 0, 0x10, will + "00 0080'" + strings.Repeat("/", 128) + "' 0000", TopicNameInvalid, "will: topic name has more than 128"},
		{"will topic that is not UTF-8 [MQTT-3.1.3-11]", 0, 0x10, will + "00 0001 FF 0000", MalformedPacket, "will: topic name is not UTF-8"},
		{"will with a foreign property", 0, 0x10, will + "[23 0001] 0001'w' 0000", MalformedPacket, "will has a property"},
		{"will delay twice", 0, 0x10, will + "[18 00000001 18 00000001] 0001'w' 0000", ProtocolError, "twice"},
		{"will payload format 2", 0, 0x10, will + "[01 02] 0001'w' 0000", ProtocolError, "payload format"},
		{"will response topic with a wildcard [MQTT-3.3.2-14]", 0, 0x10, will + "[08 0001'+'] 0001'w' 0000", MalformedPacket, "response topic"},
	})
}

func TestRefusedConnectProperties(t *testing.T) {
	const head, tail = "0004'MQTT' 05 02 0000 ", " 0001'c'"
	checkRefused(t, []refused{
		{"no property length", 0, 0x10, head, MalformedPacket, "property length"},
		{"property length beyond the packet", 0, 0x10, head + "05 11 0000", MalformedPacket, "properties"},
		{"property length that is padded [MQTT-1.5.5-1]", 0, 0x10, head + "8000" + tail, MalformedPacket, "MQTT-1.5.5-1"},
		{"property length of five bytes", 0, 0x10, head + "80808080 01" + tail, MalformedPacket, "four bytes"},
		{"session expiry twice", 0, 0x10, head + "[11 00000001 11 00000001]" + tail, ProtocolError, "twice"},
		{"session expiry cut off", 0, 0x10, head + "[11 0000]" + tail, MalformedPacket, "session expiry"},
		{"unknown property", 0, 0x10, head + "[7F 00]" + tail, MalformedPacket, "property"},
		{"property 0", 0, 0x10, head + "[00]" + tail, MalformedPacket, "property"},
		{"property of another packet", 0, 0x10, head + "[23 0001]" + tail, MalformedPacket, "property"},
		{"property identifier that is padded [MQTT-1.5.5-1]", 0, 0x10, head + "[9100 00000001]" + tail, MalformedPacket, "MQTT-1.5.5-1"},
		{"receive maximum 0", 0, 0x10, head + "[21 0000]" + tail, ProtocolError, "receive maximum"},
		{"maximum packet size 0", 0, 0x10, head + "[27 00000000]" + tail, ProtocolError, "maximum packet size"},
		{"request response information 2", 0, 0x10, head + "[19 02]" + tail, ProtocolError, "request response"},
		{"request problem information 2", 0, 0x10, head + "[17 02]" + tail, ProtocolError, "request problem"},
		{"authentication data without method", 0, 0x10, head + "[16 0000]" + tail, ProtocolError, "method"},
		{"empty authentication method", 0, 0x10, head + "[15 0000]" + tail, BadAuthenticationMethod, "method"},
		{"user property that is not UTF-8", 0, 0x10, head + "[26 0001 80 0000]" + tail, MalformedPacket, "user property"},
		{"user property without value", 0, 0x10, head + "[26 0001'a']" + tail, MalformedPacket, "user property"},
	})
}

func TestAnswerVersionOfARefusedConnect(t *testing.T) {
	tests := []struct {
		name, body string
		want       Version
		code       byte // of 3.1.1
	}{
		{"3.1 gets return code 1", "0006'MQIsdp' 03 02 003C 0001'c'", V311, 1},
		{"a bridge's try gets return code 1", "0004'MQTT' 84 02 003C 0001'c'", V311, 1},
		{"level 3 with the new name gets return code 1", "0004'MQTT' 03 02 003C 0001'c'", V311, 1},
		{"level 6 gets 0x84", "0004'MQTT' 06 02 003C 00 0001'c'", V5, 0},
		{"another protocol gets nothing", "0004'AMQP' 04 02 003C 0001'c'", 0, 0},
		{"an identifier of 3.1.1 that is empty gets return code 2", "0004'MQTT' 04 00 0000 0000", V311, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c Connect
			reason, _ := reasonOf(c.Decode(wire(t, tt.body)))
			if c.Version != tt.want {
				t.Errorf("got version %d, want %d", c.Version, tt.want)
			}
			if code, ok := reason.V311(); tt.want == V311 && (!ok || code != tt.code) {
				t.Errorf("got return code %d %v, want %d", code, ok, tt.code)
			}
		})
	}
}

func TestRefusedConnacks(t *testing.T) {
	checkRefused(t, []refused{
		{"reserved flags [MQTT-3.2.2-1]", V5, 0x20, "02 00 00", MalformedPacket, "MQTT-3.2.2-1"},
		{"return code 6 of 3.1.1", V311, 0x20, "00 06", ProtocolError, "return code"},
		{"session present with an error [MQTT-3.2.2-6]", V5, 0x20, "01 87 00", ProtocolError, "MQTT-3.2.2-6"},
		{"a reason of another packet [MQTT-3.2.2-8]", V5, 0x20, "00 8E 00", ProtocolError, "Session taken over"},
		{"maximum QoS 2", V5, 0x20, "00 00 [24 02]", ProtocolError, "maximum QoS"},
		{"receive maximum 0", V5, 0x20, "00 00 [21 0000]", ProtocolError, "receive maximum"},
		{"authentication data without method", V5, 0x20, "00 00 [16 0000]", ProtocolError, "method"},
		{"bytes behind the end", V311, 0x20, "00 00 00", MalformedPacket, "behind its end"},
	})
}

func TestRefusedPublishes(t *testing.T) {
	checkRefused(t, []refused{
		{"QoS 3 [MQTT-3.3.1-4]", V311, 0x36, "0001'a' 0001", MalformedPacket, "MQTT-3.3.1-4"},
		{"DUP with QoS 0 [MQTT-3.3.1-2]", V5, 0x38, "0001'a' 00", MalformedPacket, "MQTT-3.3.1-2"},
		{"packet identifier 0 [MQTT-2.2.1-3]", V5, 0x32, "0001'a' 0000 00", ProtocolError, "MQTT-2.2.1-3"},
		{"no packet identifier", V311, 0x32, "0001'a' 01", MalformedPacket, "packet identifier"},
		{"topic beyond the packet", V311, 0x30, "0005'abcd'", MalformedPacket, "topic name"},
		{"topic with + [MQTT-3.3.2-2]", V311, 0x30, "0003'a/+'", MalformedPacket, "MQTT-3.3.2-2"},
		{"topic with # [MQTT-3.3.2-2]", V5, 0x30, "0002'a#' 00", MalformedPacket, "MQTT-3.3.2-2"},
		{"topic with U+0000 [MQTT-4.7.3-2]", V5, 0x30, "0002'a'00 00", MalformedPacket, "U+0000"},
		{"topic with a surrogate [MQTT-1.5.4-1]", V5, 0x30, "0003 EDA080 00", MalformedPacket, "UTF-8"},
		{"topic with an over-long form [MQTT-1.5.4-1]", V5, 0x30, "0002 C0AF 00", MalformedPacket, "UTF-8"},
		{"topic beyond U+10FFFF [MQTT-1.5.4-1]", V5, 0x30, "0004 F4908080 00", MalformedPacket, "UTF-8"},
		{"empty topic in 3.1.1", V311, 0x30, "0000 'x'", ProtocolError, "topic"},
		{"neither topic nor alias", V5, 0x30, "0000 00 'x'", ProtocolError, "alias"},
		{"129 levels", V5, 0x32, "0080'" + strings.Repeat("/", 128) + "' 0001 00", TopicNameInvalid, "128 levels"},
		{"no property length", V5, 0x30, "0001'a'", MalformedPacket, "property length"},
		{"alias 0 [MQTT-3.3.2-8]", V5, 0x30, "0001'a' [23 0000]", TopicAliasInvalid, "MQTT-3.3.2-8"},
		{"alias twice", V5, 0x30, "0001'a' [23 0001 23 0001]", ProtocolError, "twice"},
		{"subscription identifier 0", V5, 0x30, "0001'a' [0B 00]", ProtocolError, "subscription identifier"},
		{"payload format 2", V5, 0x30, "0001'a' [01 02]", ProtocolError, "payload format"},
		{"payload format twice", V5, 0x30, "0001'a' [01 01 01 01]", ProtocolError, "twice"},
		{"content type that is not UTF-8 [MQTT-3.3.2-19]", V5, 0x30, "0001'a' [03 0001 FF]", MalformedPacket, "content type"},
		{"empty response topic [MQTT-4.7.3-1]", V5, 0x30, "0001'a' [08 0000]", MalformedPacket, "response topic"},
		{"response topic with a wildcard [MQTT-3.3.2-14]", V5, 0x30, "0001'a' [08 0003'r/#']", MalformedPacket, "response topic"},
		{"correlation data cut off", V5, 0x30, "0001'a' [09 0005 00]", MalformedPacket, "correlation data"},
		{"a property of another packet", V5, 0x30, "0001'a' [11 00000000]", MalformedPacket, "property"},
	})
}

func TestRefusedAcks(t *testing.T) {
	checkRefused(t, []refused{
		{"empty body", V311, 0x40, "", MalformedPacket, "packet identifier"},
		{"packet identifier 0", V311, 0x40, "0000", ProtocolError, "packet identifier"},
		{"3.1.1 with a reason code", V311, 0x40, "0001 00", MalformedPacket, "behind its end"},
		{"PUBACK with a reason of SUBACK [MQTT-3.4.2-1]", V5, 0x40, "0001 01", ProtocolError, "Granted QoS 1"},
		{"PUBREC with an unknown reason [MQTT-3.5.2-1]", V5, 0x50, "0001 42", ProtocolError, "0x42"},
		{"PUBREL with a reason of PUBACK [MQTT-3.6.2-1]", V5, 0x62, "0001 10", ProtocolError, "PUBREL"},
		{"PUBCOMP with a reason of PUBACK [MQTT-3.7.2-1]", V5, 0x70, "0001 97", ProtocolError, "PUBCOMP"},
		{"reason string twice", V5, 0x40, "0001 00 [1F 0000 1F 0000]", ProtocolError, "twice"},
		{"bytes behind the end", V5, 0x40, "0001 00 00 00", MalformedPacket, "behind its end"},
		{"property length beyond the packet", V5, 0x40, "0001 00 05", MalformedPacket, "properties"},
	})
}

func TestRefusedSubscribes(t *testing.T) {
	checkRefused(t, []refused{
		{"no filter [MQTT-3.8.3-2]", V311, 0x82, "0001", ProtocolError, "MQTT-3.8.3-2"},
		{"no filter, 5.0 [MQTT-3.8.3-2]", V5, 0x82, "0001 00", ProtocolError, "MQTT-3.8.3-2"},
		{"no options byte", V311, 0x82, "0001 0001'a'", MalformedPacket, "options"},
		{"no options byte of the second filter", V5, 0x82, "0001 00 0001'a' 00 0001'b'", MalformedPacket, "options"},
		{"packet identifier 0 [MQTT-2.2.1-3]", V5, 0x82, "0000 00 0001'a' 00", ProtocolError, "packet identifier"},
		{"empty filter [MQTT-4.7.3-1]", V5, 0x82, "0001 00 0000 00", MalformedPacket, "empty"},
		{"filter that is not UTF-8 [MQTT-3.8.3-1]", V5, 0x82, "0001 00 0001 FF 00", MalformedPacket, "UTF-8"},
		{"a# [MQTT-4.7.1-1]", V5, 0x82, "0001 00 0002'a#' 00", MalformedPacket, "MQTT-4.7.1-1"},
		{"a+ [MQTT-4.7.1-2]", V311, 0x82, "0001 0002'a+' 00", MalformedPacket, "MQTT-4.7.1-2"},
		{"129 levels", V5, 0x82, "0001 00 0080'" + strings.Repeat("/", 128) + "' 00", TopicFilterInvalid, "128 levels"},
		{"reserved bits, 5.0 [MQTT-3.8.3-5]", V5, 0x82, "0001 00 0001'a' 40", MalformedPacket, "MQTT-3.8.3-5"},
		{"reserved bits, 3.1.1 [MQTT-3-8.3-4 of 3.1.1]", V311, 0x82, "0001 0001'a' 04", MalformedPacket, "MQTT-3-8.3-4"},
		{"QoS 3, 3.1.1 [MQTT-3-8.3-4 of 3.1.1]", V311, 0x82, "0001 0001'a' 03", MalformedPacket, "MQTT-3-8.3-4"},
		{"QoS 3", V5, 0x82, "0001 00 0001'a' 03", ProtocolError, "QoS 3"},
		{"retain handling 3", V5, 0x82, "0001 00 0001'a' 30", ProtocolError, "retain handling"},
		{"no local on a shared subscription [MQTT-3.8.3-4]", V5, 0x82, "0001 00 000A'$share/g/a' 04", ProtocolError, "MQTT-3.8.3-4"},
		{"subscription identifier 0", V5, 0x82, "0001 [0B 00] 0001'a' 00", ProtocolError, "subscription identifier"},
		{"subscription identifier twice", V5, 0x82, "0001 [0B 01 0B 02] 0001'a' 00", ProtocolError, "twice"},
		{"UNSUBSCRIBE without filter [MQTT-3.10.3-2]", V5, 0xA2, "0001 00", ProtocolError, "MQTT-3.10.3-2"},
		{"UNSUBSCRIBE with a bad filter", V311, 0xA2, "0001 0003'#/a'", MalformedPacket, "MQTT-4.7.1-1"},
		{"UNSUBSCRIBE with a subscription identifier", V5, 0xA2, "0001 [0B 01] 0001'a'", MalformedPacket, "property"},
		{"SUBACK without reasons [MQTT-3.8.4-6]", V5, 0x90, "0001 00", ProtocolError, "no reason"},
		{"SUBACK of 3.1.1 with a 5.0 error [MQTT-3.9.3-2 of 3.1.1]", V311, 0x90, "0001 87", ProtocolError, "return code"},
		{"UNSUBACK of 3.1.1 with a payload", V311, 0xB0, "0001 00", MalformedPacket, "behind its end"},
	})
}

func TestRefusedDisconnectsAndAuths(t *testing.T) {
	checkRefused(t, []refused{
		{"DISCONNECT of 3.1.1 with a body", V311, 0xE0, "00", MalformedPacket, "behind its end"},
		{"DISCONNECT with a reason of CONNACK [MQTT-3.14.2-1]", V5, 0xE0, "86", ProtocolError, "DISCONNECT"},
		{"DISCONNECT with session expiry twice", V5, 0xE0, "00 [11 00000000 11 00000000]", ProtocolError, "twice"},
		{"DISCONNECT with bytes behind the end", V5, 0xE0, "00 00 00", MalformedPacket, "behind its end"},
		{"AUTH with a reason of DISCONNECT [MQTT-3.15.2-1]", V5, 0xF0, "04 [15 0001'm']", ProtocolError, "AUTH"},
		{"AUTH without method", V5, 0xF0, "18 00", ProtocolError, "method"},
		{"AUTH without property length", V5, 0xF0, "18", MalformedPacket, "property length"},
	})
}

func TestHeaderIsReadByteByByte(t *testing.T) {
	tests := []struct {
		name, in string
		length   int
		n        int
		padded   bool
	}{
		{"one byte, section 2.1.4", "30 7F", 127, 2, false},
		{"two bytes", "30 8001", 128, 3, false},
		{"three bytes", "30 808001", 16_384, 4, false},
		{"four bytes", "30 FFFFFF7F", MaxRemainingLength, 5, false},
		{"padded, which 3.1.1 allows", "30 8200", 2, 3, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := wire(t, tt.in)
			for i := range in {
				if _, _, err := ParseHeader(in[:i]); !errors.Is(err, ErrIncomplete) {
					t.Errorf("%d bytes: got %v, want ErrIncomplete", i, err)
				}
			}
			h, n, err := ParseHeader(append(in, "rest"...))
			want := Header{Type: PUBLISH, Length: tt.length, Padded: tt.padded}
			if err != nil || n != tt.n || h != want {
				t.Errorf("got %+v, %d, %v, want %+v, %d", h, n, err, want, tt.n)
			}
			if err := h.Check(V311); err != nil {
				t.Errorf("3.1.1: got %v, want no error", err)
			}
			if err := h.Check(V5); (err != nil) != tt.padded {
				t.Errorf("5.0 [MQTT-1.5.5-1]: got %v, want error %v", err, tt.padded)
			}
		})
	}
}

func TestRemainingLengthOfFiveBytesIsRefusedAtTheFourth(t *testing.T) {
	_, _, err := ParseHeader(wire(t, "30 FFFFFFFF"))
	if reason, _ := reasonOf(err); reason != MalformedPacket {
		t.Errorf("got %v, want %v", err, MalformedPacket)
	}
}

func TestWrongFirstByteIsRefusedWithoutALength(t *testing.T) {
	_, _, err := ParseHeader([]byte{0x80})
	if reason, _ := reasonOf(err); reason != MalformedPacket {
		t.Errorf("got %v, want %v", err, MalformedPacket)
	}
}
