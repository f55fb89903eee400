package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// broker is the other end of the fleet's connections: it notes what comes and
// acknowledges as its test wants.
type broker struct {
	mu       sync.Mutex
	refuse   packet.ReasonCode                     // in CONNACK
	ack      func(n int) (packet.ReasonCode, bool) // for the n-th publish
	attempts []time.Time
	connects []packet.Connect
	times    map[string][]int64 // ts by device, in the order of arrival
	links    []string
	pings    int
	goodbyes int
	count    int
}

func newBroker() *broker { return &broker{times: map[string][]int64{}} }

func (b *broker) dial(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	b.mu.Lock()
	b.attempts = append(b.attempts, time.Now())
	b.mu.Unlock()
	go b.serve(server)
	return client, nil
}

func (b *broker) serve(conn net.Conn) {
	answers := make(chan []byte, 64) // a pipe holds nothing, a socket would
	defer close(answers)
	go func() {
		defer conn.Close()
		for a := range answers {
			if _, err := conn.Write(a); err != nil {
				return
			}
		}
	}()
	var in []byte
	version := packet.V5
	chunk := make([]byte, 4096)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		in = append(in, chunk[:n]...)
		for {
			h, n, err := packet.ParseHeader(in)
			if err != nil || len(in) < n+h.Length {
				break
			}
			if answer := b.take(&version, h, in[n:n+h.Length]); answer != nil {
				answers <- answer
			}
			in = slices.Clone(in[n+h.Length:])
		}
	}
}

func (b *broker) take(version *packet.Version, h packet.Header, body []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch h.Type {
	case packet.CONNECT:
		var c packet.Connect
		if err := c.Decode(body); err != nil {
			panic(err)
		}
		*version = c.Version
		b.connects = append(b.connects, c)
		answer := packet.Connack{Reason: b.refuse}
		return answer.Append(nil, *version)
	case packet.PUBLISH:
		return b.publish(*version, h, body)
	case packet.PINGREQ:
		b.pings++
		return packet.AppendPingresp(nil)
	case packet.DISCONNECT:
		b.goodbyes++
	}
	return nil
}

func (b *broker) publish(version packet.Version, h packet.Header, body []byte) []byte {
	var p packet.Publish
	if err := p.Decode(version, h.Flags, body); err != nil {
		panic(err)
	}
	b.count++
	reason, answer := packet.Success, true
	if b.ack != nil {
		reason, answer = b.ack(b.count)
	}
	if !answer {
		return nil
	}
	device := strings.Split(string(p.Topic), "/")[1]
	if strings.HasSuffix(string(p.Topic), "/telemetry") {
		b.times[device] = append(b.times[device], stamps(p.Payload)...)
	} else {
		b.links = append(b.links, string(p.Topic)+" "+string(p.Payload))
	}
	a := packet.Ack{Type: packet.PUBACK, PacketID: p.PacketID, Reason: reason}
	return a.Append(nil, version)
}

func stamps(payload []byte) []int64 {
	type record struct {
		TS int64 `json:"ts"`
	}
	records := make([]record, 1)
	target := any(&records[0])
	if payload[0] == '[' {
		target = &records
	}
	if err := json.Unmarshal(payload, target); err != nil {
		panic(err)
	}
	out := make([]int64, len(records))
	for i, r := range records {
		out[i] = r.TS
	}
	return out
}

// live runs a fleet of n devices against b for so long.
func live(t *testing.T, b *broker, n int, flaky float64, d time.Duration) *Fleet {
	t.Helper()
	f := New(Options{Dial: b.dial, Members: members(n), Ramp: time.Second, Flaky: flaky, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	f.Run(ctx)
	synctest.Wait()
	return f
}

func members(n int) []Member {
	var out []Member
	for _, d := range Plan(1, n, "") {
		out = append(out, Member{Device: d, Token: "token of " + string(d.ID)})
	}
	return out
}

// checkComplete wants every time of the device's schedule from the first to
// the last that arrived.
func checkComplete(t *testing.T, d Device, got []int64) {
	t.Helper()
	if len(got) == 0 {
		t.Errorf("%s: nothing arrived", d.ID)
		return
	}
	seen := slices.Compact(slices.Sorted(slices.Values(got)))
	for i := 1; i < len(seen); i++ {
		if gap := seen[i] - seen[i-1]; gap != d.Every.Milliseconds() {
			t.Errorf("%s: %d ms between two records, want %d", d.ID, gap, d.Every.Milliseconds())
			return
		}
	}
}

func TestDevicesLogInWithTheirTokenAndAWill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		live(t, b, 5, 0, 10*time.Second)
		if len(b.connects) != 5 {
			t.Fatalf("got %d connections, want 5", len(b.connects))
		}
		for _, c := range b.connects {
			if c.Username != c.ClientID || string(c.Password) != "token of "+c.ClientID {
				t.Errorf("%s logs in as %q with %q", c.ClientID, c.Username, c.Password)
			}
			if want := "devices/" + c.ClientID + "/telemetry/link"; c.Will == nil || c.Will.Topic != want || string(c.Will.Payload) != `"lost"` {
				t.Errorf("%s: will is %+v, want \"lost\" on %s", c.ClientID, c.Will, want)
			}
		}
		if !slices.Contains(b.links, `devices/pump-01/telemetry/link "up"`) {
			t.Errorf("got links %q, want pump-01 up", b.links)
		}
	})
}

func TestAFleetThatIsStoppedSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		f := live(t, b, 8, 0, time.Minute)
		if b.goodbyes != 8 {
			t.Errorf("got %d DISCONNECT, want 8", b.goodbyes)
		}
		if s := f.Stats(); s.Sent == 0 || s.Sent != s.Acked || s.Connected != 0 {
			t.Errorf("got %+v, want all acked and nobody connected", s)
		}
	})
}

func TestNoRecordIsMissingAfterLostConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		f := live(t, b, 10, 20, 20*time.Minute)
		s := f.Stats()
		if s.Losses < 20 || s.Reconnects < 20 {
			t.Errorf("%d losses and %d reconnects in 20 minutes, want at least 20", s.Losses, s.Reconnects)
		}
		if s.Forgotten != 0 {
			t.Errorf("%d records forgotten, want none", s.Forgotten)
		}
		for _, m := range f.members {
			checkComplete(t, *m.device, b.times[string(m.device.ID)])
		}
	})
}

func TestAMessageWithoutAnAckIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.ack = func(n int) (packet.ReasonCode, bool) { return packet.Success, n%50 != 7 || n > 1000 }
		f := live(t, b, 5, 0, 10*time.Minute)
		if s := f.Stats(); s.Losses == 0 {
			t.Error("no connection was given up although acks were missing")
		}
		for _, m := range f.members {
			checkComplete(t, *m.device, b.times[string(m.device.ID)])
		}
	})
}

func TestARefusedDeviceComesBackMoreAndMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.refuse = packet.ServerBusy
		f := live(t, b, 1, 0, 5*time.Minute)
		if n := len(b.attempts); n < 10 || n > 30 {
			t.Errorf("got %d attempts in five minutes, want 10 to 30", n)
		}
		last := b.attempts[len(b.attempts)-1].Sub(b.attempts[len(b.attempts)-2])
		if last < lastBackoff/2 || last > lastBackoff {
			t.Errorf("the last attempts are %v apart, want %v to %v", last, lastBackoff/2, lastBackoff)
		}
		if s := f.Stats(); s.Failed != int64(len(b.attempts)) {
			t.Errorf("failed: got %d, want %d", s.Failed, len(b.attempts))
		}
	})
}

func TestARefusedMessageIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.ack = func(n int) (packet.ReasonCode, bool) { return packet.PayloadFormatInvalid, true }
		f := live(t, b, 1, 0, time.Minute)
		if s := f.Stats(); s.Refused == 0 || s.Refused != s.Sent || s.Acked != 0 || s.Losses != 0 {
			t.Errorf("got %+v, want every message refused once", s)
		}
	})
}

func TestAQuietDevicePings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		m := members(1)
		m[0].Device.Every = time.Hour
		f := New(Options{Dial: b.dial, Members: m, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		f.Run(ctx)
		if b.pings < 55 || b.pings > 60 || len(b.connects) != 1 {
			t.Errorf("got %d pings on %d connections in ten minutes, want one every ten seconds on one", b.pings, len(b.connects))
		}
	})
}

func TestStoppingDoesNotWaitForAServerThatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.ack = func(int) (packet.ReasonCode, bool) { return packet.Success, false }
		start := time.Now()
		live(t, b, 3, 0, 10*time.Second)
		if took := time.Since(start); took > 12*time.Second {
			t.Errorf("stopped after %v, want at most two seconds after 10s", took)
		}
	})
}

func TestBackfillSendsEveryStepAndWaitsForTheAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		f := New(Options{Dial: b.dial, Members: members(12), Log: slog.New(slog.DiscardHandler)})
		to := time.Now()
		calls, last := 0, 0
		var mu sync.Mutex
		err := f.Backfill(t.Context(), to.Add(-24*time.Hour), to, time.Minute, func(done, total int) {
			mu.Lock()
			defer mu.Unlock()
			calls, last = calls+1, max(last, done)
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, m := range f.members {
			got := b.times[string(m.device.ID)]
			if len(got) != 24*60+1 && len(got) != 24*60 {
				t.Errorf("%s: got %d records, want 1440", m.device.ID, len(got))
			}
		}
		if s := f.Stats(); s.Acked != s.Sent || b.goodbyes != 12 || calls != 12 || last != 12 {
			t.Errorf("acked %d of %d, %d goodbyes, %d reports up to %d", s.Acked, s.Sent, b.goodbyes, calls, last)
		}
	})
}

func TestBackfillThatIsRefusedIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.ack = func(n int) (packet.ReasonCode, bool) {
			if n == 3 {
				return packet.PayloadFormatInvalid, true
			}
			return packet.Success, true
		}
		f := New(Options{Dial: b.dial, Members: members(1), Log: slog.New(slog.DiscardHandler)})
		err := f.Backfill(t.Context(), time.Now().Add(-24*time.Hour), time.Now(), time.Minute, nil)
		if err == nil || !strings.Contains(err.Error(), "the server refused readings: Payload format invalid") {
			t.Errorf("got %v, want the refusal", err)
		}
	})
}

func TestBackfillReportsTheDeviceThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		b.refuse = packet.BadUserNameOrPassword
		f := New(Options{Dial: b.dial, Members: members(3), Log: slog.New(slog.DiscardHandler)})
		err := f.Backfill(t.Context(), time.Now().Add(-time.Hour), time.Now(), time.Minute, nil)
		var r refused
		if !errors.As(err, &r) || r.reason != packet.BadUserNameOrPassword || !strings.Contains(err.Error(), "history of ") {
			t.Errorf("got %v, want the refusal and the device", err)
		}
	})
}
