package packet

import (
	"bytes"
	"testing"
)

const benchTopic = "devices/greenhouse-17/telemetry"

var benchPayload = []byte(`{"ts":1700000000000,"temperature":21.53,"humidity":48.2,"pressure":1013.1,"battery":3.71}`)

func benchPublish(v Version) *Publish {
	p := &Publish{QoS: 1, Topic: []byte(benchTopic), PacketID: 77, Payload: benchPayload}
	if v == V5 {
		p.TopicAlias = 3
	}
	return p
}

func benchRequest() *Publish {
	p := benchPublish(V5)
	p.Properties = PublishProperties{
		MessageExpiry: ptr(uint32(60)), ContentType: "application/json", ResponseTopic: "devices/greenhouse-17/commands/x/reply",
		CorrelationData: []byte("0123456789abcdef"), User: []UserProperty{{"trace", "0af7651916cd43dd8448eb211c80319c"}},
	}
	return p
}

func BenchmarkPublishDecode(b *testing.B) {
	for _, bb := range []struct {
		name string
		v    Version
		p    *Publish
	}{
		{"v=3.1.1", V311, benchPublish(V311)},
		{"v=5.0", V5, benchPublish(V5)},
		{"v=5.0/properties", V5, benchRequest()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			wire := bb.p.Append(nil, bb.v)
			var p Publish
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				h, n, err := ParseHeader(wire)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Decode(bb.v, h.Flags, wire[n:]); err != nil {
					b.Fatal(err)
				}
			}
			if !bytes.Equal(p.Payload, benchPayload) {
				b.Fatal("payload differs")
			}
		})
	}
}

func BenchmarkPublishAppend(b *testing.B) {
	for _, bb := range []struct {
		name string
		v    Version
		p    *Publish
	}{
		{"v=3.1.1", V311, benchPublish(V311)},
		{"v=5.0", V5, benchPublish(V5)},
		{"v=5.0/properties", V5, benchRequest()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			buf := make([]byte, 0, 512)
			b.SetBytes(int64(bb.p.Size(bb.v)))
			b.ReportAllocs()
			for b.Loop() {
				bb.p.PacketID++
				buf = bb.p.Append(buf[:0], bb.v)
			}
			if len(buf) != bb.p.Size(bb.v) {
				b.Fatalf("%d bytes, want %d", len(buf), bb.p.Size(bb.v))
			}
		})
	}
}

// One message to 1,000 subscribers of both versions, as a fan-out does it.
func BenchmarkPublishFanOut(b *testing.B) {
	p := benchPublish(V5)
	buf := make([]byte, 0, 512*1000)
	ids := []uint32{9}
	b.ReportAllocs()
	for b.Loop() {
		buf = buf[:0]
		for i := range 1000 {
			p.PacketID, p.QoS, p.SubscriptionIDs = uint16(i+1), byte(i&1), ids[:i&1]
			buf = p.Append(buf, V311+Version(i&1))
		}
	}
}

func BenchmarkAck(b *testing.B) {
	a := Ack{Type: PUBACK, PacketID: 1}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = a.Append(buf[:0], V5)
		if err := a.Decode(V5, PUBACK, buf[2:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConnectDecode(b *testing.B) {
	wire := (&Connect{
		ClientID: "greenhouse-17", HasUsername: true, Username: "greenhouse-17", HasPassword: true,
		Password: bytes.Repeat([]byte("p"), 43), KeepAlive: 60,
	}).Append(nil, V5)
	var c Connect
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Decode(wire[2:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	matched := true
	b.ReportAllocs()
	for b.Loop() {
		matched = matched && Match("devices/+/telemetry", benchTopic)
	}
	if !matched {
		b.Fatal("no match")
	}
}

// The hot path of an engine must not depend on the garbage collector.
func TestPublishAndAckAreReadAndWrittenWithoutAllocation(t *testing.T) {
	for _, v := range []Version{V311, V5} {
		out := benchPublish(v)
		wire := out.Append(nil, v)
		h, n, err := ParseHeader(wire)
		if err != nil {
			t.Fatal(err)
		}
		var in Publish
		buf := make([]byte, 0, 512)
		got := testing.AllocsPerRun(100, func() {
			if in.Decode(v, h.Flags, wire[n:]) != nil {
				t.Error("decode failed")
			}
			buf = in.Append(buf[:0], v)
			ack := Ack{Type: PUBACK, PacketID: in.PacketID, Reason: NoMatchingSubscribers, ReasonString: "nobody listens"}
			buf, _ = ack.AppendWithin(buf, v, 1024)
		})
		if got != 0 {
			t.Errorf("version %d: got %v allocations, want 0", v, got)
		}
	}
}
