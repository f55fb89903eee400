package packet

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	texts   = rapid.StringMatching(`[a-zä€😀 ]{0,20}`)
	names   = rapid.StringMatching(`[a-zä€😀]{1,20}(/[a-z]{0,3}){0,4}`)
	filters = rapid.StringMatching(`(\$share/[a-z]{1,4}/)?([a-z]{1,5}|\+)?(/([a-zä]{0,3}|\+)){1,4}(/#)?`)
	ids     = rapid.Uint16Range(1, 65535)
	blobs   = rapid.SliceOfN(rapid.Byte(), 0, 200)
	users   = rapid.Custom(func(t *rapid.T) []UserProperty {
		n := rapid.IntRange(0, 4).Draw(t, "user properties")
		var u []UserProperty
		for range n {
			u = append(u, UserProperty{Name: texts.Draw(t, "name"), Value: texts.Draw(t, "value")})
		}
		return u
	})
)

func maybe[T any](t *rapid.T, g *rapid.Generator[T], name string) *T {
	if !rapid.Bool().Draw(t, name+" there") {
		return nil
	}
	return ptr(g.Draw(t, name))
}

func maybeBytes(t *rapid.T, name string) []byte {
	if b := maybe(t, blobs, name); b != nil {
		return append([]byte{}, *b...)
	}
	return nil
}

func reasonsOf(typ Type) *rapid.Generator[ReasonCode] {
	var codes []ReasonCode
	for code := range 256 {
		if ReasonCode(code).AllowedIn(typ) {
			codes = append(codes, ReasonCode(code))
		}
	}
	return rapid.SampledFrom(codes)
}

func drawProperties(t *rapid.T) PublishProperties {
	p := PublishProperties{
		PayloadFormat: rapid.ByteRange(0, 1).Draw(t, "payload format"),
		MessageExpiry: maybe(t, rapid.Uint32(), "message expiry"),
		ContentType:   texts.Draw(t, "content type"),
		User:          users.Draw(t, "user"),
	}
	p.EmptyContent = p.ContentType == "" && rapid.Bool().Draw(t, "empty content type")
	if topic := maybe(t, names, "response topic"); topic != nil {
		p.ResponseTopic = *topic
	}
	p.CorrelationData = maybeBytes(t, "correlation data")
	return p
}

func drawPublish(t *rapid.T, v Version) *Publish {
	p := &Publish{
		QoS: rapid.ByteRange(0, 2).Draw(t, "QoS"), Retain: rapid.Bool().Draw(t, "retain"),
		Topic: []byte(names.Draw(t, "topic")), Payload: append([]byte{}, blobs.Draw(t, "payload")...),
	}
	if p.QoS > 0 {
		p.PacketID, p.Dup = ids.Draw(t, "packet identifier"), rapid.Bool().Draw(t, "dup")
	}
	if v == V5 {
		p.Properties = drawProperties(t)
		if n := rapid.IntRange(0, 3).Draw(t, "subscription identifiers"); n > 0 {
			p.SubscriptionIDs = rapid.SliceOfN(rapid.Uint32Range(1, MaxRemainingLength), n, n).Draw(t, "identifiers")
		}
		if p.TopicAlias = rapid.Uint16().Draw(t, "alias"); p.TopicAlias != 0 && rapid.Bool().Draw(t, "alias alone") {
			p.Topic = []byte{}
		}
	}
	return p
}

func drawConnect(t *rapid.T, v Version) *Connect {
	c := &Connect{
		Version: v, CleanStart: rapid.Bool().Draw(t, "clean"), KeepAlive: rapid.Uint16().Draw(t, "keep alive"),
		ClientID: names.Draw(t, "client identifier"), ReceiveMaximum: 65535, RequestProblemInfo: true,
	}
	if rapid.Bool().Draw(t, "will") {
		c.Will = &Will{
			Topic: names.Draw(t, "will topic"), Payload: append([]byte{}, blobs.Draw(t, "will payload")...),
			QoS: rapid.ByteRange(0, 2).Draw(t, "will QoS"), Retain: rapid.Bool().Draw(t, "will retain"),
		}
	}
	if c.HasUsername = rapid.Bool().Draw(t, "user name there"); c.HasUsername {
		c.Username = texts.Draw(t, "user name")
	}
	if c.HasPassword = (c.HasUsername || v == V5) && rapid.Bool().Draw(t, "password there"); c.HasPassword {
		c.Password = append([]byte{}, blobs.Draw(t, "password")...)
	}
	if v == V5 {
		drawConnectProperties(t, c)
	}
	return c
}

func drawConnectProperties(t *rapid.T, c *Connect) {
	c.SessionExpiry = rapid.Uint32().Draw(t, "session expiry")
	c.ReceiveMaximum = ids.Draw(t, "receive maximum")
	c.MaximumPacketSize = rapid.Uint32().Draw(t, "maximum packet size")
	c.TopicAliasMaximum = rapid.Uint16().Draw(t, "topic alias maximum")
	c.RequestResponseInfo = rapid.Bool().Draw(t, "request response information")
	c.RequestProblemInfo = rapid.Bool().Draw(t, "request problem information")
	c.User = users.Draw(t, "user")
	if rapid.Bool().Draw(t, "authentication") {
		c.AuthenticationMethod = names.Draw(t, "method")
		c.AuthenticationData = maybeBytes(t, "data")
		c.HasAuthenticationData = c.AuthenticationData != nil
	}
	if c.Will != nil {
		c.Will.Delay = rapid.Uint32().Draw(t, "will delay")
		c.Will.Properties = drawProperties(t)
	}
}

func drawConnack(t *rapid.T, v Version) *Connack {
	if v == V311 {
		code := rapid.IntRange(0, len(connackReasonV311)-1).Draw(t, "return code")
		c := &Connack{Reason: ReasonCode(connackReasonV311[code])}
		c.SessionPresent = code == 0 && rapid.Bool().Draw(t, "session present")
		return c
	}
	c := &Connack{
		Reason: reasonsOf(CONNACK).Draw(t, "reason"), SessionExpiry: maybe(t, rapid.Uint32(), "session expiry"),
		ReceiveMaximum: rapid.Uint16().Draw(t, "receive maximum"), MaximumQoS: maybe(t, rapid.ByteRange(0, 1), "QoS"),
		RetainAvailable: maybe(t, rapid.Bool(), "retain"), MaximumPacketSize: rapid.Uint32().Draw(t, "size"),
		AssignedClientID: texts.Draw(t, "client identifier"), TopicAliasMaximum: rapid.Uint16().Draw(t, "alias"),
		ReasonString: texts.Draw(t, "reason string"), User: users.Draw(t, "user"),
		WildcardAvailable: maybe(t, rapid.Bool(), "wildcard"), SubscriptionIDs: maybe(t, rapid.Bool(), "identifiers"),
		SharedAvailable: maybe(t, rapid.Bool(), "shared"), ServerKeepAlive: maybe(t, rapid.Uint16(), "keep alive"),
		ResponseInformation: texts.Draw(t, "response information"), ServerReference: texts.Draw(t, "server reference"),
	}
	c.SessionPresent = c.Reason == Success && rapid.Bool().Draw(t, "session present")
	if rapid.Bool().Draw(t, "authentication") {
		c.AuthenticationMethod, c.AuthenticationData = names.Draw(t, "method"), maybeBytes(t, "data")
	}
	return c
}

func drawAck(t *rapid.T, v Version) *Ack {
	a := &Ack{
		Type:     rapid.SampledFrom([]Type{PUBACK, PUBREC, PUBREL, PUBCOMP}).Draw(t, "type"),
		PacketID: ids.Draw(t, "packet identifier"),
	}
	if v == V5 {
		a.Reason = reasonsOf(a.Type).Draw(t, "reason")
		a.ReasonString, a.User = texts.Draw(t, "reason string"), users.Draw(t, "user")
	}
	return a
}

func drawSubscribe(t *rapid.T, v Version) *Subscribe {
	s := &Subscribe{PacketID: ids.Draw(t, "packet identifier")}
	for range rapid.IntRange(1, 5).Draw(t, "filters") {
		sub := Subscription{Filter: filters.Draw(t, "filter"), QoS: rapid.ByteRange(0, 2).Draw(t, "QoS")}
		if _, _, shared := ParseShared(sub.Filter); v == V5 {
			sub.NoLocal = !shared && rapid.Bool().Draw(t, "no local")
			sub.RetainAsPublished = rapid.Bool().Draw(t, "retain as published")
			sub.RetainHandling = rapid.ByteRange(0, 2).Draw(t, "retain handling")
		}
		s.Subscriptions = append(s.Subscriptions, sub)
	}
	if v == V5 {
		s.SubscriptionID = rapid.Uint32Range(0, MaxRemainingLength).Draw(t, "identifier")
		s.User = users.Draw(t, "user")
	}
	return s
}

func drawUnsubscribe(t *rapid.T, v Version) *Unsubscribe {
	u := &Unsubscribe{
		PacketID: ids.Draw(t, "packet identifier"),
		Filters:  rapid.SliceOfN(filters, 1, 5).Draw(t, "filters"),
	}
	if v == V5 {
		u.User = users.Draw(t, "user")
	}
	return u
}

func drawSuback(t *rapid.T, v Version) *Suback {
	s := &Suback{Type: rapid.SampledFrom([]Type{SUBACK, UNSUBACK}).Draw(t, "type"), PacketID: ids.Draw(t, "packet identifier")}
	switch {
	case v == V5:
		s.ReasonString, s.User = texts.Draw(t, "reason string"), users.Draw(t, "user")
		s.Reasons = rapid.SliceOfN(reasonsOf(s.Type), 1, 5).Draw(t, "reasons")
	case s.Type == SUBACK:
		codes := []ReasonCode{Success, GrantedQoS1, GrantedQoS2, UnspecifiedError}
		s.Reasons = rapid.SliceOfN(rapid.SampledFrom(codes), 1, 5).Draw(t, "reasons")
	}
	return s
}

func drawDisconnect(t *rapid.T, v Version) *Disconnect {
	if v == V311 {
		return &Disconnect{}
	}
	return &Disconnect{
		Reason: reasonsOf(DISCONNECT).Draw(t, "reason"), SessionExpiry: maybe(t, rapid.Uint32(), "session expiry"),
		ReasonString: texts.Draw(t, "reason string"), ServerReference: texts.Draw(t, "reference"), User: users.Draw(t, "user"),
	}
}

func drawAuth(t *rapid.T) *Auth {
	a := &Auth{
		Reason: reasonsOf(AUTH).Draw(t, "reason"), Method: names.Draw(t, "method"), Data: maybeBytes(t, "data"),
		ReasonString: texts.Draw(t, "reason string"), User: users.Draw(t, "user"),
	}
	a.HasData = a.Data != nil
	return a
}

func drawPacket(t *rapid.T, v Version) Packet {
	kinds := 8
	if v == V5 {
		kinds = 9 // only 5.0 has AUTH
	}
	switch rapid.IntRange(1, kinds).Draw(t, "kind") {
	case 1:
		return drawConnect(t, v)
	case 2:
		return drawConnack(t, v)
	case 3:
		return drawPublish(t, v)
	case 4:
		return drawAck(t, v)
	case 5:
		return drawSubscribe(t, v)
	case 6:
		return drawUnsubscribe(t, v)
	case 7:
		return drawSuback(t, v)
	case 8:
		return drawDisconnect(t, v)
	default:
		return drawAuth(t)
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]Version{V311, V5}).Draw(t, "version")
		p := drawPacket(t, v)
		b := p.Append(nil, v)
		h, n, err := ParseHeader(b)
		if err != nil || n+h.Length != len(b) {
			t.Fatalf("header of % x: %+v, %v", b, h, err)
		}
		got, err := Decode(v, h, b[n:])
		if err != nil {
			t.Fatalf("% x: got error %v, want none", b, err)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Fatalf("% x (-written +read):\n%s", b, diff)
		}
	})
}

func TestSizeOfAPublishIsWhatAppendWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]Version{V311, V5}).Draw(t, "version")
		p := drawPublish(t, v)
		if got, want := p.Size(v), len(p.Append(nil, v)); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
		if err := p.Validate(v); err != nil {
			t.Errorf("Validate: got %v, want no error", err)
		}
	})
}

// A decoder must say no to a packet that ends too early, not read past it:
// cut anywhere, a body is refused or is another valid packet.
func TestBodiesThatAreCutOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]Version{V311, V5}).Draw(t, "version")
		b := drawPacket(t, v).Append(nil, v)
		h, n, _ := ParseHeader(b)
		body := b[n:]
		cut := rapid.IntRange(0, len(body)).Draw(t, "cut")
		p, err := Decode(v, h, bytes.Clone(body[:cut]))
		if reason, what := reasonOf(err); err != nil && (reason < 0x80 || what == "") {
			t.Errorf("got %v, want an *Error with a reason", err)
		}
		if err == nil && len(p.Append(nil, v)) == 0 {
			t.Errorf("%T: decoded but not written", p)
		}
	})
}
