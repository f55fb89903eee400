package broker_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/broker"
	"github.com/trefoil-iot/trefoil/internal/journal"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// events is a journal that keeps everything.
type events struct {
	mu   sync.Mutex
	cond sync.Cond
	all  []noted
}

type noted struct {
	device trefoil.DeviceID
	journal.Event
}

func (e *events) Add(id trefoil.DeviceID, event journal.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, noted{id, event})
	if e.cond.L != nil {
		e.cond.Broadcast()
	}
}

// first waits for n events and gives them. A test that waits in vain ends
// with the time limit of all tests.
func (e *events) first(n int) []noted {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cond.L = &e.mu
	for len(e.all) < n {
		e.cond.Wait()
	}
	return e.all
}

func TestTheJournalHearsOfConnectionsAndTheirEnds(t *testing.T) {
	r := start(t)
	c := r.dial(t, packet.V5, "pump-7")
	address := c.LocalAddr().String()
	c.Close()
	got := r.events.first(2)
	if e := got[0]; e.device != "pump-7" || e.Kind != journal.Connected || e.Address != address || e.Client != "pump-7" ||
		e.Protocol != "5.0" || e.Transport != "tcp" || e.Time == 0 {
		t.Errorf("first event: got %+v, want the connection from %s", e, address)
	}
	if e := got[1]; e.device != "pump-7" || e.Kind != journal.Disconnected || e.Address != address ||
		e.Reason != trefoil.ReasonLost || e.Time < got[0].Time {
		t.Errorf("second event: got %+v, want its loss", e)
	}
}

// refuse tries to log in and wants to be refused.
func (r *rig) refuse(t *testing.T, username, password string) {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	connect := packet.Connect{
		Version: packet.V5, CleanStart: true, ClientID: "c", HasUsername: true, Username: username,
		HasPassword: true, Password: []byte(password), ReceiveMaximum: 1,
	}
	if _, err := conn.Write(connect.Append(nil, packet.V5)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := conn.Read(answer); err != nil || answer[3] < 0x80 {
		t.Fatalf("login as %q: got % x, %v, want a refusal", username, answer, err)
	}
}

func TestARefusedLoginIsAnEventOfTheDeviceAndOthersAreOnlyCounted(t *testing.T) {
	r := start(t)
	r.refuse(t, "nobody", "wrong")
	r.refuse(t, "not a device", "wrong")
	r.refuse(t, "pump-7", "wrong")
	got := r.events.first(1)
	if e := got[0]; len(got) != 1 || e.device != "pump-7" || e.Kind != journal.Refused || e.Detail != "the token is wrong" || e.Client != "c" {
		t.Errorf("events: got %+v, want one refusal of pump-7", got)
	}
	if got := r.broker.RefusedUnknown(); got != 2 {
		t.Errorf("refused with unknown names: got %d, want 2", got)
	}
}

func TestConnectionsAreListedInPagesAndFound(t *testing.T) {
	r := start(t)
	for i := range 5 {
		r.dial(t, packet.V311, fmt.Sprintf("d%d", 4-i))
	}
	r.dial(t, packet.V5, "backend")
	r.events.first(5)
	var names []string
	q := broker.ClientQuery{Limit: 4}
	for {
		page := r.broker.Connections(q)
		if page.Total != 6 {
			t.Errorf("total: got %d, want 6", page.Total)
		}
		for _, c := range page.Clients {
			names = append(names, c.User+"/"+string(c.Device))
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if got, want := strings.Join(names, " "), "d0/d0 d1/d1 d2/d2 d3/d3 d4/d4 backend/"; got != want {
		t.Errorf("users and devices: got %s, want %s", got, want)
	}
	found := r.broker.Connections(broker.ClientQuery{Text: " D3 "})
	if found.Total != 1 || found.Next != "" {
		t.Fatalf("search: got %+v, want d3 alone", found)
	}
	c := found.Clients[0]
	if c.ClientID != "d3" || c.Protocol != "3.1.1" || c.Transport != "tcp" || !strings.HasPrefix(c.Address, "127.0.0.1:") || c.Connected.IsZero() || c.BytesIn == 0 {
		t.Errorf("client: got %+v", c)
	}
	if none := r.broker.Connections(broker.ClientQuery{Text: "device:"}); none.Total != 0 {
		t.Errorf("search for the inner name space: got %+v, want nothing", none)
	}
}

func TestAnOperatorDisconnectsOneSession(t *testing.T) {
	r := start(t)
	c, other := r.dial(t, packet.V5, "pump-7"), r.dial(t, packet.V5, "pump-8")
	r.events.first(2)
	session := r.broker.Connections(broker.ClientQuery{Text: "pump-7"}).Clients[0].Session
	if !r.broker.DisconnectSession(session) {
		t.Error("got false, want true for a session that is connected")
	}
	header, body := c.read()
	if header.Type != packet.DISCONNECT || body[0] != 0x98 {
		t.Errorf("got %v % x, want DISCONNECT 0x98", header.Type, body)
	}
	if e := r.events.first(3)[2]; e.device != "pump-7" || e.Reason != trefoil.ReasonKicked {
		t.Errorf("event: got %+v, want that pump-7 was disconnected by an administrator", e)
	}
	if r.broker.DisconnectSession(session) || r.broker.DisconnectSession("nonsense") {
		t.Error("got true, want false for a session without a connection")
	}
	other.silent("after another session was disconnected")
}

func TestRatesAreMeansBetweenSamples(t *testing.T) {
	r := start(t)
	c := r.dial(t, packet.V5, "pump-7")
	now := time.Now()
	r.broker.Sample(now)
	if got := r.broker.Rates(); got != (broker.Rates{}) {
		t.Errorf("after one sample: got %+v, want zeros", got)
	}
	before := r.broker.Stats()
	c.send([]byte{0xC0, 0}) // PINGREQ
	c.read()
	r.broker.Sample(now.Add(2 * time.Second))
	if got, want := r.broker.Rates().BytesIn, float64(r.broker.Stats().BytesIn-before.BytesIn)/2; got != want || want != 1 {
		t.Errorf("bytes in: got %v a second, want %v", got, want)
	}
}
