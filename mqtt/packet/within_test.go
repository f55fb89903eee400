package packet

import (
	"strings"
	"testing"
)

// trimmed is a packet that can be written with less explanation.
type trimmed interface {
	Packet
	AppendWithin(dst []byte, v Version, limit uint32) ([]byte, bool)
}

// [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.4.2-2], [MQTT-3.4.2-3],
// [MQTT-3.9.2-1], [MQTT-3.9.2-2], [MQTT-3.14.2-3], [MQTT-3.14.2-4],
// [MQTT-3.15.2-2], [MQTT-3.15.2-3].
func TestExplanationsGiveWayToTheMaximumPacketSize(t *testing.T) {
	why, user := strings.Repeat("w", 50), []UserProperty{{"name", strings.Repeat("u", 100)}}
	tests := []struct {
		full                       trimmed
		withoutUser, withoutReason Packet
	}{
		{
			&Ack{Type: PUBACK, PacketID: 1, Reason: NotAuthorized, ReasonString: why, User: user},
			&Ack{Type: PUBACK, PacketID: 1, Reason: NotAuthorized, ReasonString: why},
			&Ack{Type: PUBACK, PacketID: 1, Reason: NotAuthorized},
		},
		{
			&Suback{Type: SUBACK, PacketID: 1, Reasons: []ReasonCode{NotAuthorized}, ReasonString: why, User: user},
			&Suback{Type: SUBACK, PacketID: 1, Reasons: []ReasonCode{NotAuthorized}, ReasonString: why},
			&Suback{Type: SUBACK, PacketID: 1, Reasons: []ReasonCode{NotAuthorized}},
		},
		{
			&Connack{ReceiveMaximum: 5, ReasonString: why, User: user},
			&Connack{ReceiveMaximum: 5, ReasonString: why},
			&Connack{ReceiveMaximum: 5},
		},
		{
			&Disconnect{Reason: ServerBusy, ReasonString: why, User: user},
			&Disconnect{Reason: ServerBusy, ReasonString: why},
			&Disconnect{Reason: ServerBusy},
		},
		{
			&Auth{Reason: ContinueAuthentication, Method: "m", ReasonString: why, User: user},
			&Auth{Reason: ContinueAuthentication, Method: "m", ReasonString: why},
			&Auth{Reason: ContinueAuthentication, Method: "m"},
		},
	}
	for _, tt := range tests {
		full, withoutUser, bare := tt.full.Append(nil, V5), tt.withoutUser.Append(nil, V5), tt.withoutReason.Append(nil, V5)
		forms := []struct {
			limit int
			want  []byte
		}{
			{0, full},
			{len(full), full},
			{len(full) - 1, withoutUser},
			{len(withoutUser), withoutUser},
			{len(withoutUser) - 1, bare},
			{len(bare), bare},
			{len(bare) - 1, nil},
		}
		for _, f := range forms {
			got, ok := tt.full.AppendWithin([]byte("x"), V5, uint32(f.limit))
			if string(got[1:]) != string(f.want) || ok != (f.want != nil) {
				t.Errorf("%T within %d: got % x, %v, want % x", tt.full, f.limit, got[1:], ok, f.want)
			}
		}
	}
}

func TestFieldsThatAreTooLongKeepTheStreamInStep(t *testing.T) {
	long := strings.Repeat("a", 70_000)
	p := &Publish{Topic: []byte("t"), Properties: PublishProperties{ContentType: long}, Payload: []byte("x")}
	out := p.Append(nil, V5)
	if got := p.Size(V5); got != len(out) {
		t.Errorf("Size: got %d, want %d", got, len(out))
	}
	back, err := decodeAll(t, V5, out)
	if err != nil || len(back.(*Publish).Properties.ContentType) != 65535 || string(back.(*Publish).Payload) != "x" {
		t.Errorf("got %d bytes of content type, error %v, want 65535 and none", len(out), err)
	}
}

func TestValidateRefusesWhatDecodeRefuses(t *testing.T) {
	topic := []byte("t")
	tests := []struct {
		name string
		v    Version
		p    Publish
		want ReasonCode
	}{
		{"good", V5, Publish{Topic: topic}, Success},
		{"alias in place of the topic", V5, Publish{TopicAlias: 1}, Success},
		{"alias in 3.1.1", V311, Publish{TopicAlias: 1}, MalformedPacket},
		{"neither", V5, Publish{}, ProtocolError},
		{"wildcard [MQTT-3.3.2-2]", V311, Publish{Topic: []byte("#")}, MalformedPacket},
		{"QoS 3 [MQTT-3.3.1-4]", V5, Publish{Topic: topic, QoS: 3}, MalformedPacket},
		{"no packet identifier [MQTT-2.2.1-3]", V5, Publish{Topic: topic, QoS: 1}, ProtocolError},
		{"payload format 2", V5, Publish{Topic: topic, Properties: PublishProperties{PayloadFormat: 2}}, ProtocolError},
		{"content type [MQTT-3.3.2-19]", V5, Publish{Topic: topic, Properties: PublishProperties{ContentType: "\xff"}}, MalformedPacket},
		{"response topic [MQTT-3.3.2-14]", V5, Publish{Topic: topic, Properties: PublishProperties{ResponseTopic: "+"}}, MalformedPacket},
		{"correlation data", V5, Publish{Topic: topic, Properties: PublishProperties{CorrelationData: make([]byte, 65536)}}, MalformedPacket},
		{"user property", V5, Publish{Topic: topic, Properties: PublishProperties{User: []UserProperty{{"", "\x00"}}}}, MalformedPacket},
		{"properties do not count in 3.1.1", V311, Publish{Topic: topic, Properties: PublishProperties{PayloadFormat: 2}}, Success},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, what := reasonOf(tt.p.Validate(tt.v)); got != tt.want {
				t.Errorf("got %v (%s), want %v", got, what, tt.want)
			}
		})
	}
}
