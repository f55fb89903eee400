package packet

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// valid are packets in the one form in which this package writes them.
type valid struct {
	name  string
	v     Version
	first byte
	body  string
	want  Packet
}

func checkValid(t *testing.T, tests []valid) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := packed(t, tt.first, tt.body)
			got, err := decodeAll(t, tt.v, b)
			if err != nil {
				t.Fatalf("decode: got error %v, want none", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("decode (-want +got):\n%s", diff)
			}
			if out := tt.want.Append([]byte("before"), tt.v); !bytes.Equal(out, append([]byte("before"), b...)) {
				t.Errorf("append:\n got % x\nwant % x", out[6:], b)
			}
		})
	}
}

func TestConnectBothWays(t *testing.T) {
	checkValid(t, []valid{
		{"3.1.1, example of section 3.1.2.10, all flags", V311, 0x10, "0004'MQTT' 04 CE 000A 0003'dev' 0001'w' 0003'bye' 0001'u' 0002'pw'", &Connect{
			Version: V311, CleanStart: true, KeepAlive: 10, ClientID: "dev", HasUsername: true, Username: "u",
			HasPassword: true, Password: []byte("pw"), ReceiveMaximum: 65535, RequestProblemInfo: true,
			Will: &Will{Topic: "w", Payload: []byte("bye"), QoS: 1},
		}},
		{"3.1.1, empty client identifier with clean session [MQTT-3.1.3-7 of 3.1.1]", V311, 0x10, "0004'MQTT' 04 02 0000 0000", &Connect{
			Version: V311, CleanStart: true, ReceiveMaximum: 65535, RequestProblemInfo: true,
		}},
		{"5.0, empty will payload and empty password", V5, 0x10, "0004'MQTT' 05 74 003C 00 0001'c' 00 0001'w' 0000 0000", &Connect{
			Version: V5, KeepAlive: 60, ClientID: "c", HasPassword: true, Password: []byte{}, ReceiveMaximum: 65535,
			RequestProblemInfo: true, Will: &Will{Topic: "w", Payload: []byte{}, QoS: 2, Retain: true},
		}},
		{
			"5.0, every property, sections 3.1.2.11 and 3.1.3.2", V5, 0x10,
			"0004'MQTT' 05 04 0000 [11 0000000A 21 0014 27 00001000 22 0005 19 01 17 00 15 0001'm' 16 0001'd' 26 0001'a' 0001'b']" +
				"0001'c' [18 00000007 01 01 02 0000001E 03 0004'text' 08 0001'r' 09 0002 0102 26 0001'x' 0000] 0001'w' 0002'hi'",
			&Connect{
				Version: V5, ClientID: "c", SessionExpiry: 10, ReceiveMaximum: 20, MaximumPacketSize: 4096,
				TopicAliasMaximum: 5, RequestResponseInfo: true, AuthenticationMethod: "m",
				HasAuthenticationData: true, AuthenticationData: []byte("d"), User: []UserProperty{{"a", "b"}},
				Will: &Will{Topic: "w", Payload: []byte("hi"), Delay: 7, Properties: PublishProperties{
					PayloadFormat: 1, MessageExpiry: ptr(uint32(30)), ContentType: "text", ResponseTopic: "r",
					CorrelationData: []byte{1, 2}, User: []UserProperty{{"x", ""}},
				}},
			},
		},
	})
}

func TestConnackBothWays(t *testing.T) {
	checkValid(t, []valid{
		{"3.1.1, accepted, session present", V311, 0x20, "01 00", &Connack{SessionPresent: true}},
		{"3.1.1, return code 1", V311, 0x20, "00 01", &Connack{Reason: UnsupportedProtocolVersion}},
		{"3.1.1, return code 2", V311, 0x20, "00 02", &Connack{Reason: ClientIdentifierNotValid}},
		{"3.1.1, return code 3", V311, 0x20, "00 03", &Connack{Reason: ServerUnavailable}},
		{"3.1.1, return code 4", V311, 0x20, "00 04", &Connack{Reason: BadUserNameOrPassword}},
		{"3.1.1, return code 5", V311, 0x20, "00 05", &Connack{Reason: NotAuthorized}},
		{"5.0, no properties", V5, 0x20, "00 87 00", &Connack{Reason: NotAuthorized}},
		{
			"5.0, every property, section 3.2.2.3", V5, 0x20,
			"01 00 [11 0000000A 21 0014 24 01 25 00 27 00001000 22 0005 28 01 29 00 2A 01 13 001E" +
				"12 0001'c' 1A 0001'i' 1C 0001's' 15 0001'm' 16 0000 1F 0002'ok' 26 0001'a' 0001'b' 26 0001'a' 0001'b']",
			&Connack{
				SessionPresent: true, SessionExpiry: ptr(uint32(10)), ReceiveMaximum: 20, MaximumQoS: ptr(byte(1)),
				RetainAvailable: ptr(false), MaximumPacketSize: 4096, AssignedClientID: "c", TopicAliasMaximum: 5,
				ReasonString: "ok", User: []UserProperty{{"a", "b"}, {"a", "b"}}, WildcardAvailable: ptr(true),
				SubscriptionIDs: ptr(false), SharedAvailable: ptr(true), ServerKeepAlive: ptr(uint16(30)),
				ResponseInformation: "i", ServerReference: "s", AuthenticationMethod: "m", AuthenticationData: []byte{},
			},
		},
	})
}

func TestPublishBothWays(t *testing.T) {
	checkValid(t, []valid{
		{"3.1.1, example of section 3.3.2.3", V311, 0x32, "0003'a/b' 000A", &Publish{
			QoS: 1, Topic: []byte("a/b"), PacketID: 10, Payload: []byte{},
		}},
		{"3.1.1, QoS 0, retain", V311, 0x31, "0001'a' '21.5'", &Publish{
			Retain: true, Topic: []byte("a"), Payload: []byte("21.5"),
		}},
		{"5.0, QoS 2 again", V5, 0x3C, "0001'a' 0001 00 'x'", &Publish{
			Dup: true, QoS: 2, Topic: []byte("a"), PacketID: 1, Payload: []byte("x"),
		}},
		{"5.0, an alias instead of the topic", V5, 0x30, "0000 03 23 0007 'x'", &Publish{
			Topic: []byte{}, TopicAlias: 7, Payload: []byte("x"),
		}},
		{"5.0, byte order mark is kept [MQTT-1.5.4-3]", V5, 0x30, "0004 EFBBBF'a' 00", &Publish{
			Topic: []byte("\ufeffa"), Payload: []byte{},
		}},
		{"5.0, empty content type and correlation data are kept [MQTT-3.3.2-20] [MQTT-3.3.2-16]", V5, 0x30, "0001'a' 06 03 0000 09 0000", &Publish{
			Topic: []byte("a"), Payload: []byte{},
			Properties: PublishProperties{EmptyContent: true, CorrelationData: []byte{}},
		}},
		{
			"5.0, every property, order of user properties [MQTT-3.3.2-18]", V5, 0x30,
			"0001'a' [23 0001 0B 01 0B 8001 01 01 02 00000000 03 0004'text' 08 0003'r/s' 09 0001 FF" +
				"26 0001'b' 0001'1' 26 0001'a' 0001'2'] 'x'",
			&Publish{
				Topic: []byte("a"), TopicAlias: 1, SubscriptionIDs: []uint32{1, 128}, Payload: []byte("x"),
				Properties: PublishProperties{
					PayloadFormat: 1, MessageExpiry: ptr(uint32(0)), ContentType: "text", ResponseTopic: "r/s",
					CorrelationData: []byte{0xFF}, User: []UserProperty{{"b", "1"}, {"a", "2"}},
				},
			},
		},
	})
}

func TestAcksBothWays(t *testing.T) {
	checkValid(t, []valid{
		{"3.1.1 PUBACK", V311, 0x40, "0001", &Ack{Type: PUBACK, PacketID: 1}},
		{"3.1.1 PUBREL [MQTT-3.6.1-1]", V311, 0x62, "FFFF", &Ack{Type: PUBREL, PacketID: 65535}},
		{"5.0 PUBACK, short form of success", V5, 0x40, "0001", &Ack{Type: PUBACK, PacketID: 1}},
		{"5.0 PUBACK, no property length, section 3.4.2.2.1", V5, 0x40, "0001 10", &Ack{
			Type: PUBACK, PacketID: 1, Reason: NoMatchingSubscribers,
		}},
		{"5.0 PUBREC with a reason string", V5, 0x50, "0001 99 05 1F 0002'no'", &Ack{
			Type: PUBREC, PacketID: 1, Reason: PayloadFormatInvalid, ReasonString: "no",
		}},
		{"5.0 PUBREL of an unknown identifier", V5, 0x62, "0001 92", &Ack{
			Type: PUBREL, PacketID: 1, Reason: PacketIdentifierNotFound,
		}},
		{"5.0 PUBCOMP, success with a property", V5, 0x70, "0001 00 07 26 0001'a' 0001'b'", &Ack{
			Type: PUBCOMP, PacketID: 1, User: []UserProperty{{"a", "b"}},
		}},
	})
}

func TestSubscribeBothWays(t *testing.T) {
	checkValid(t, []valid{
		{"3.1.1, example of section 3.8.3.1", V311, 0x82, "000A 0003'a/b' 01 0003'c/d' 02", &Subscribe{
			PacketID: 10, Subscriptions: []Subscription{{Filter: "a/b", QoS: 1}, {Filter: "c/d", QoS: 2}},
		}},
		{"5.0, every option", V5, 0x82, "000A 00 0001'#' 2E", &Subscribe{
			PacketID: 10, Subscriptions: []Subscription{
				{Filter: "#", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2},
			},
		}},
		{"5.0, largest identifier, shared", V5, 0x82, "000A 0C 0B FFFFFF7F 26 0001'a' 0001'b' 000B'$share/g/+/' 01", &Subscribe{
			PacketID: 10, SubscriptionID: 268_435_455, User: []UserProperty{{"a", "b"}},
			Subscriptions: []Subscription{{Filter: "$share/g/+/", QoS: 1}},
		}},
		{"3.1.1 SUBACK, example of section 3.9.3", V311, 0x90, "000A 00 02 80", &Suback{
			Type: SUBACK, PacketID: 10, Reasons: []ReasonCode{Success, GrantedQoS2, UnspecifiedError},
		}},
		{"5.0 SUBACK", V5, 0x90, "000A 05 1F 0002'no' 87 01", &Suback{
			Type: SUBACK, PacketID: 10, ReasonString: "no", Reasons: []ReasonCode{NotAuthorized, GrantedQoS1},
		}},
		{"3.1.1 UNSUBSCRIBE, example of section 3.10.3", V311, 0xA2, "000A 0003'a/b' 0003'c/d'", &Unsubscribe{
			PacketID: 10, Filters: []string{"a/b", "c/d"},
		}},
		{"5.0 UNSUBSCRIBE", V5, 0xA2, "000A 07 26 0001'a' 0001'b' 0001'+'", &Unsubscribe{
			PacketID: 10, User: []UserProperty{{"a", "b"}}, Filters: []string{"+"},
		}},
		{"3.1.1 UNSUBACK", V311, 0xB0, "000A", &Suback{Type: UNSUBACK, PacketID: 10}},
		{"5.0 UNSUBACK", V5, 0xB0, "000A 00 11", &Suback{
			Type: UNSUBACK, PacketID: 10, Reasons: []ReasonCode{NoSubscriptionExisted},
		}},
	})
}

func TestOthersBothWays(t *testing.T) {
	checkValid(t, []valid{
		{"PINGREQ", V311, 0xC0, "", Pingreq{}},
		{"PINGRESP", V5, 0xD0, "", Pingresp{}},
		{"3.1.1 DISCONNECT", V311, 0xE0, "", &Disconnect{}},
		{"5.0 DISCONNECT, short form", V5, 0xE0, "", &Disconnect{}},
		{"5.0 DISCONNECT with will, short form, section 3.14.2.2.1", V5, 0xE0, "04", &Disconnect{Reason: DisconnectWithWill}},
		{"5.0 DISCONNECT, every property", V5, 0xE0, "9D [11 00000000 1C 0001's' 1F 0002'go' 26 0001'a' 0000]", &Disconnect{
			Reason: ServerMoved, SessionExpiry: ptr(uint32(0)), ReasonString: "go", ServerReference: "s",
			User: []UserProperty{{"a", ""}},
		}},
		{"AUTH, short form", V5, 0xF0, "", &Auth{}},
		{"AUTH", V5, 0xF0, "18 0D 15 0001'm' 16 0000 26 0001'a' 0000", &Auth{
			Reason: ContinueAuthentication, Method: "m", HasData: true, Data: []byte{}, User: []UserProperty{{"a", ""}},
		}},
	})
}

// What is allowed on the wire but written otherwise by this package.
func TestOtherFormsOfTheSamePacket(t *testing.T) {
	tests := []struct {
		name, body string
		first      byte
		want       Packet
	}{
		{"PUBACK with success and property length 0", "0001 00 00", 0x40, &Ack{Type: PUBACK, PacketID: 1}},
		{"DISCONNECT with property length 0", "00 00", 0xE0, &Disconnect{}},
		{"PUBLISH with payload format 0, the same as none", "0001'a' 02 01 00", 0x30, &Publish{Topic: []byte("a"), Payload: []byte{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeAll(t, V5, packed(t, tt.first, tt.body))
			if err != nil {
				t.Fatalf("got error %v, want none", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReasonsThatOneVersionDoesNotKnow(t *testing.T) {
	tests := []struct {
		name string
		p    Packet
		want string
	}{
		{"SUBACK of 3.1.1 has one error [MQTT-3.9.3-2 of 3.1.1]", &Suback{Type: SUBACK, PacketID: 1, Reasons: []ReasonCode{GrantedQoS1, NotAuthorized, TopicFilterInvalid}}, "90 05 0001 01 80 80"},
		{"UNSUBACK of 3.1.1 has no payload", &Suback{Type: UNSUBACK, PacketID: 1, Reasons: []ReasonCode{NoSubscriptionExisted}}, "B0 02 0001"},
		{"PUBACK of 3.1.1 cannot refuse", &Ack{Type: PUBACK, PacketID: 1, Reason: NotAuthorized, ReasonString: "no"}, "40 02 0001"},
		{"DISCONNECT of 3.1.1 has no body", &Disconnect{Reason: ServerBusy, ReasonString: "no"}, "E0 00"},
		{"CONNACK of 3.1.1 without a matching return code", &Connack{Reason: MalformedPacket}, "20 02 00 03"},
		{"CONNACK with an error has no session present [MQTT-3.2.2-6]", &Connack{Reason: Banned, SessionPresent: true}, "20 02 00 05"},
		{"there is no AUTH in 3.1.1", &Auth{Reason: ReAuthenticate, Method: "m"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := tt.p.Append(nil, V311), wire(t, tt.want); !bytes.Equal(got, want) {
				t.Errorf("got % x, want % x", got, want)
			}
		})
	}
}

func TestDecodingIntoAUsedValueSetsEveryField(t *testing.T) {
	full, _ := decodeAll(t, V5, packed(t, 0x3B, "0001'a' 0001 [23 0001 0B 01 01 01 02 00000001 03 0001't' 08 0001'r' 09 0001'c'] 'x'"))
	p := full.(*Publish)
	if err := p.Decode(V311, 0, wire(t, "0001'b'")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Publish{Topic: []byte("b"), Payload: []byte{}}, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
