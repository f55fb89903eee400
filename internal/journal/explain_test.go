package journal

import (
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
)

func TestAnExplanationSaysWhyADeviceIsOffline(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 30, 0, 0, time.UTC)
	at := func(clock string) trefoil.Instant {
		day, err := time.Parse("2006-01-02 15:04:05", "2026-11-22 "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return trefoil.InstantOf(day)
	}
	offline := func(reason string) trefoil.Presence { return trefoil.Presence{Reason: reason, Since: at("21:03:00")} }
	ended := func(reason string) []Event {
		return []Event{
			{Kind: Disconnected, Time: at("21:03:00"), Reason: reason, Address: "10.0.0.7:4711", KeepAlive: time.Minute, Heard: at("21:01:30")},
			{Kind: Connected, Time: at("20:00:00"), Address: "10.0.0.7:4711"},
		}
	}
	wrong := Event{Kind: Refused, Time: at("21:27:00"), First: at("21:27:00"), Count: 1, Address: "10.0.0.9:1", Detail: "the token is wrong"}
	again := wrong
	again.First, again.Count = at("20:10:00"), 12
	online := trefoil.Presence{Online: true, Reason: trefoil.ReasonConnected, Since: at("21:03:00")}
	for _, c := range []struct {
		what     string
		presence trefoil.Presence
		events   []Event
		want     string
	}{
		{"never", trefoil.Presence{}, nil, "Never connected, and nobody tried to log in with its id."},
		{"never, refused", trefoil.Presence{}, []Event{wrong}, "Never connected. Its last login was refused 3 minutes ago: the token is wrong."},
		{"never, refused often", trefoil.Presence{}, []Event{again}, "Never connected. Its last login was refused 3 minutes ago (12 times since 20:10 UTC): the token is wrong."},
		{"online", online, []Event{{Kind: Connected, Address: "[2001:db8::7]:4711", Protocol: "5.0", Transport: "tls"}}, "Online since 21:03 UTC from 2001:db8::7 over TLS with MQTT 5.0."},
		{"online, nothing known", online, nil, "Online since 21:03 UTC."},
		{"online, refused before", online, []Event{{Kind: Connected, Address: "10.0.0.7:1", Protocol: "3.1.1", Transport: "tcp"}, {Kind: Refused, Time: at("20:00:00")}}, "Online since 21:03 UTC from 10.0.0.7 with MQTT 3.1.1."},
		{"online, another refused", online, []Event{wrong}, "Online since 21:03 UTC. Another login with its id was refused 3 minutes ago: the token is wrong."},
		{"keep-alive", offline(trefoil.ReasonKeepAlive), ended(trefoil.ReasonKeepAlive), "Offline since 21:03 UTC: no packet came for 1.5 × its keep-alive of 60 s; the connection from 10.0.0.7 was closed. It last spoke 21:01 UTC."},
		{"keep-alive, no event", offline(trefoil.ReasonKeepAlive), nil, "Offline since 21:03 UTC: no packet came for 1.5 × its keep-alive; the connection was closed."},
		{"lost", offline(trefoil.ReasonLost), ended(trefoil.ReasonLost), "Offline since 21:03 UTC: the connection from 10.0.0.7 broke without a goodbye, as it does when the device loses power or network or starts again."},
		{"goodbye", offline(trefoil.ReasonDisconnect), ended(trefoil.ReasonDisconnect), "Offline since 21:03 UTC: the device said goodbye."},
		{"goodbye with will", offline(trefoil.ReasonWill), nil, "Offline since 21:03 UTC: the device said goodbye and asked for its will to be sent."},
		{"kicked", offline(trefoil.ReasonKicked), ended(trefoil.ReasonKicked), "Offline since 21:03 UTC: an operator closed the connection from 10.0.0.7, and the device has not come back."},
		{"revoked and tries", offline(trefoil.ReasonRevoked), append([]Event{wrong}, ended(trefoil.ReasonRevoked)...), "Offline since 21:03 UTC: its credential was revoked; it needs the new one to come back. Its last login was refused 3 minutes ago: the token is wrong."},
		{"protocol", offline("protocol error: packet is too large"), ended("protocol error: packet is too large"), "Offline since 21:03 UTC: it broke the MQTT protocol (packet is too large); the connection from 10.0.0.7 was closed."},
		{"taken over", offline(trefoil.ReasonTakenOver), nil, "Offline since 21:03 UTC: a new connection with the same client id took over and has ended too."},
		{"slow", offline(trefoil.ReasonSlow), nil, "Offline since 21:03 UTC: it did not read what was sent to it; the connection was closed."},
		{"our fault", offline(trefoil.ReasonInternal), nil, "Offline since 21:03 UTC: the server failed on the connection; its log says why."},
		{"server killed", offline(trefoil.ReasonShutdown), []Event{{Kind: Connected, Address: "10.0.0.7:1"}}, "Offline since 21:03 UTC: the server was stopped, and the device has not come back since."},
		{"event of an earlier end", offline(trefoil.ReasonLost), ended(trefoil.ReasonDisconnect), "Offline since 21:03 UTC: the connection broke without a goodbye, as it does when the device loses power or network or starts again."},
		{"another day", trefoil.Presence{Reason: trefoil.ReasonDisconnect, Since: at("21:03:00").Add(-48 * time.Hour)}, nil, "Offline since 2026-11-20 21:03 UTC: the device said goodbye."},
	} {
		if got := Explain(trefoil.Device{ID: "pump-7", Presence: c.presence}, c.events, now); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.what, got, c.want)
		}
	}
}

func TestAgoSpeaksInOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "just now", 0: "just now", time.Second: "1 second ago", 59 * time.Second: "59 seconds ago",
		61 * time.Second: "1 minute ago", 119 * time.Minute: "1 hour ago", 49 * time.Hour: "2 days ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}
