package api

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/journal"
)

// fakeBroker has what a test puts into it; it was asked for the last query.
type fakeBroker struct {
	page    ClientPage
	text    string
	after   string
	limit   int
	unknown string // the session that has no connection
}

func (f *fakeBroker) Overview() BrokerInfo {
	return BrokerInfo{Connections: 7, Rates: BrokerRates{MessagesIn: 1.5}, Limits: BrokerLimits{Connections: 50000}}
}

func (f *fakeBroker) Clients(text, after string, limit int) ClientPage {
	f.text, f.after, f.limit = text, after, limit
	return f.page
}

func (f *fakeBroker) Disconnect(session string) bool { return session != f.unknown }

// fakeJournal has the same events for every device.
type fakeJournal struct{ events []journal.Event }

func (f *fakeJournal) Of(context.Context, trefoil.DeviceID) ([]journal.Event, error) {
	return f.events, nil
}

func TestTheBrokerTellsItsFigures(t *testing.T) {
	b := newBench(t)
	var got map[string]any
	b.request("GET /api/v1/broker", "").want(200, `"rates":{"messagesIn":1.5,`, `"refusedLogins":0`, `"dropped":0`).into(&got)
	if got["connections"] != 7.0 || got["limits"].(map[string]any)["connections"] != 50000.0 {
		t.Errorf("got %v, want the broker's figures", got)
	}
}

func TestConnectionsAreListedWithACursor(t *testing.T) {
	b := newBench(t)
	b.broker.page = ClientPage{Next: "device:a\x00c", Total: 2, Clients: []Client{{
		Session: "s1", User: "a", Device: "a", ClientID: "c", Protocol: "5.0", Transport: "tls", Address: "10.0.0.7:1",
		KeepAlive: time.Minute, Connected: start, InFlightIn: 1, InFlightOut: 2, Queued: 3, Subscriptions: 4,
		MessagesIn: 5, MessagesOut: 6, BytesIn: 7, BytesOut: 8, LastError: "no",
	}}}
	var page struct {
		Items []map[string]any
		Next  string
		Total int
	}
	b.request("GET /api/v1/broker/clients?q=a&limit=1", "").want(200).into(&page)
	want := map[string]any{
		"session": "s1", "user": "a", "device": "a", "clientId": "c", "protocol": "5.0", "transport": "tls", "address": "10.0.0.7:1",
		"keepAlive": 60.0, "connected": "2026-03-01T12:00:00Z", "inFlightIn": 1.0, "inFlightOut": 2.0, "queued": 3.0, "subscriptions": 4.0,
		"messagesIn": 5.0, "messagesOut": 6.0, "bytesIn": 7.0, "bytesOut": 8.0, "dropped": 0.0, "lastError": "no",
	}
	if diff := cmp.Diff([]map[string]any{want}, page.Items); diff != "" || page.Total != 2 {
		t.Errorf("total %d, want 2; items (-want +got):\n%s", page.Total, diff)
	}
	b.request("GET /api/v1/broker/clients?cursor="+page.Next, "").want(200)
	if b.broker.after != "device:a\x00c" || b.broker.limit != 50 {
		t.Errorf("second page: asked for %d after %q, want 50 after the first page", b.broker.limit, b.broker.after)
	}
	b.request("GET /api/v1/broker/clients?cursor=%21", "").problem(422, trefoil.CodeInvalid, "query.cursor")
	b.request("GET /api/v1/broker/clients?limit=0", "").problem(422, trefoil.CodeInvalid, "query.limit")
}

func TestDisconnectingAnUnknownSessionIsNotFound(t *testing.T) {
	b := newBench(t)
	b.broker.unknown = "s2"
	b.request("DELETE /api/v1/broker/clients/s1", "").want(204)
	b.request("DELETE /api/v1/broker/clients/s2", "").problem(404, trefoil.CodeNotFound, "no connection")
}

func TestADeviceTellsItsEventsAndExplainsItself(t *testing.T) {
	b := newBench(t)
	b.device("a")
	at := func(d time.Duration) trefoil.Instant { return trefoil.InstantOf(start.Add(d)) }
	b.journal.events = []journal.Event{
		{Kind: journal.Refused, Time: at(-3 * time.Minute), First: at(-time.Hour), Count: 2, Address: "10.0.0.7:1", Client: "c", Detail: "the token is wrong"},
		{
			Kind: journal.Disconnected, Time: at(-2 * time.Hour), First: at(-2 * time.Hour), Count: 1, Address: "10.0.0.7:1", Client: "c",
			Protocol: "5.0", Transport: "tcp", Reason: trefoil.ReasonKeepAlive, KeepAlive: time.Minute, Heard: at(-2*time.Hour - 90*time.Second),
		},
	}
	const explanation = "Never connected. Its last login was refused 3 minutes ago (2 times since 11:00 UTC): the token is wrong."
	var got map[string]any
	b.request("GET /api/v1/devices/a/events", "").want(200).into(&got)
	want := map[string]any{
		"explanation": explanation,
		"items": []any{
			map[string]any{
				"kind": "refused", "time": "2026-03-01T11:57:00Z", "first": "2026-03-01T11:00:00Z", "count": 2.0,
				"address": "10.0.0.7:1", "clientId": "c", "detail": "the token is wrong",
			},
			map[string]any{
				"kind": "disconnected", "time": "2026-03-01T10:00:00Z", "count": 1.0, "address": "10.0.0.7:1", "clientId": "c",
				"protocol": "5.0", "transport": "tcp", "keepAlive": 60.0, "reason": "keepalive timeout", "lastPacket": "2026-03-01T09:58:30Z",
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	b.request("GET /api/v1/devices/a", "").want(200, `"explanation":"`+explanation)
	b.request("PATCH /api/v1/devices/a", `{"name":"A"}`).want(200, `"explanation":"`+explanation)
	b.request("GET /api/v1/devices/nope/events", "").problem(404, trefoil.CodeNotFound)
}
