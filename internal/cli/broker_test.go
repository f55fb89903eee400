package cli

import (
	"strings"
	"testing"
)

func TestBrokerShowsItsFigures(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{
		"GET /api/v1/broker": `{"connections":3,"sessions":4,"queued":5,"refusedLogins":6,"rates":{"messagesIn":1.25},"totals":{"messagesIn":100},"limits":{"connections":50000}}`,
	}}
	world := against(t, f)
	for _, args := range [][]string{{"broker"}, {"broker", "stats"}} {
		got := try(t, world, args...)
		for _, want := range []string{"connections\t3 of 50000\n", "sessions\t4\n", "queued messages\t5\n", "messages in\t100, 1.2/s\n", "refused logins\t6\n"} {
			if !strings.Contains(got.out, want) {
				t.Errorf("%q: got %q (%s), want %q in it", args, got.out, got.errors, want)
			}
		}
	}
	if got := try(t, world, "broker", "--json"); !strings.Contains(got.out, `"refusedLogins":6`) {
		t.Errorf("as JSON: got %q", got.out)
	}
}

func TestBrokerClientsGoesThroughAllPages(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{
		"GET /api/v1/broker/clients": `{"items":[{"session":"s1","user":"pump-7","clientId":"c\t1","protocol":"5.0","transport":"tls",` +
			`"address":"10.0.0.7:1","connected":"2020-01-01T00:00:00Z","inFlightIn":1,"inFlightOut":2,"queued":3,"messagesIn":4,"messagesOut":5,"lastError":"no"}],"total":1}`,
	}}
	got := try(t, against(t, f), "broker", "clients", "pump")
	if !strings.HasPrefix(got.out, "s1\tpump-7\tc 1\t5.0 tls\t10.0.0.7:1\t") || !strings.HasSuffix(got.out, " days\t1/2\t3\t4/5\tno\n") {
		t.Errorf("got %q (%s)", got.out, got.errors)
	}
	if want := "GET /api/v1/broker/clients?limit=500&q=pump"; f.seen[0] != want {
		t.Errorf("asked %s, want %s", f.seen[0], want)
	}
}

func TestBrokerDisconnectEndsOneSession(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{"DELETE /api/v1/broker/clients/s1": ""}}
	world := against(t, f)
	if got := try(t, world, "broker", "disconnect", "s1"); got.code != exitOK || got.out != "" {
		t.Errorf("exit code %d, output %q, errors %q; want silence in a pipe", got.code, got.out, got.errors)
	}
	if got := try(t, world, "broker", "disconnect", "s2"); got.code != exitNotFound {
		t.Errorf("unknown session: exit code %d, want %d", got.code, exitNotFound)
	}
}

func TestDeviceEventsSayWhatHappened(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{
		"GET /api/v1/devices/pump-7/events": `{"explanation":"Offline.","items":[` +
			`{"kind":"refused","time":"2026-11-22T20:40:09Z","first":"2026-11-22T20:00:00Z","count":3,"address":"10.0.0.9:1","clientId":"c","detail":"the token is wrong"},` +
			`{"kind":"disconnected","time":"2026-11-22T20:30:00Z","count":1,"address":"10.0.0.7:1","clientId":"c","reason":"connection lost","detail":"EOF"},` +
			`{"kind":"connected","time":"2026-11-22T20:00:00Z","count":1,"address":"10.0.0.7:1","clientId":"c","protocol":"5.0","transport":"tls","keepAlive":60}]}`,
	}}
	world := against(t, f)
	lines := strings.Split(strings.TrimSpace(try(t, world, "device", "events", "pump-7").out), "\n")
	for i, want := range []string{
		"\trefused\t10.0.0.9:1\tc\tthe token is wrong (3 times since ",
		"\tdisconnected\t10.0.0.7:1\tc\tconnection lost: EOF",
		"\tconnected\t10.0.0.7:1\tc\tMQTT 5.0 over tls, keep-alive 60 s",
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("lines: got %q, want %q in line %d", lines, want, i+1)
		}
	}
	if got := try(t, world, "device", "events", "pump-7", "--json"); strings.Count(got.out, "\n") != 3 {
		t.Errorf("as JSON: got %q, want a line for each event", got.out)
	}
}
