package journal

import (
	"fmt"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Explain says in plain words since when and from where a device is online,
// or why it is offline, as far as its presence and its last events (the
// latest first) tell. Times are in UTC.
func Explain(d trefoil.Device, events []Event, now time.Time) string {
	p := d.Presence
	refused := refusal(events, p.Since, now)
	switch {
	case p.Since == 0 && refused == "":
		return "Never connected, and nobody tried to log in with its id."
	case p.Since == 0:
		return "Never connected. Its last login was refused " + refused
	case p.Online:
		text := "Online since " + clock(p.Since, now) + origin(latest(events, Connected)) + "."
		if refused != "" {
			text += " Another login with its id was refused " + refused
		}
		return text
	}
	text := "Offline since " + clock(p.Since, now) + ": " + cause(p, events, now)
	if refused != "" {
		text += " Its last login was refused " + refused
	}
	return text
}

// latest gives the last event of the kind, or the zero Event.
func latest(events []Event, k Kind) Event {
	for _, e := range events {
		if e.Kind == k {
			return e
		}
	}
	return Event{}
}

// refusal tells about the last refused login after an instant, or is "".
func refusal(events []Event, after trefoil.Instant, now time.Time) string {
	e := latest(events, Refused)
	if e.Kind == "" || e.Time <= after {
		return ""
	}
	times := ""
	if e.Count > 1 {
		times = fmt.Sprintf(" (%d times since %s)", e.Count, clock(e.First, now))
	}
	return ago(now.Sub(e.Time.Time())) + times + ": " + e.Detail + "."
}

// origin tells from where, and over what, a connection came.
func origin(e Event) string {
	if e.Address == "" {
		return ""
	}
	transports := map[string]string{"tcp": "", "tls": " over TLS", "ws": " over WebSocket", "wss": " over secure WebSocket"}
	text := " from " + host(e.Address) + transports[e.Transport]
	if e.Protocol != "" {
		text += " with MQTT " + e.Protocol
	}
	return text
}

// cause tells why the last connection ended.
func cause(p trefoil.Presence, events []Event, now time.Time) string {
	e := latest(events, Disconnected)
	if e.Reason != p.Reason {
		e = Event{} // of an earlier connection
	}
	reason, detail, _ := strings.Cut(p.Reason, ": ")
	from := "the connection"
	if e.Address != "" {
		from += " from " + host(e.Address)
	}
	switch reason {
	case trefoil.ReasonKeepAlive:
		return silence(e, from, now)
	case trefoil.ReasonLost:
		return from + " broke without a goodbye, as it does when the device loses power or network or starts again."
	case trefoil.ReasonDisconnect:
		return "the device said goodbye."
	case trefoil.ReasonWill:
		return "the device said goodbye and asked for its will to be sent."
	case trefoil.ReasonTakenOver:
		return "a new connection with the same client id took over and has ended too."
	case trefoil.ReasonKicked:
		return "an operator closed " + from + ", and the device has not come back."
	case trefoil.ReasonRevoked:
		return "its credential was revoked; it needs the new one to come back."
	case trefoil.ReasonProtocol:
		if detail != "" {
			detail = " (" + detail + ")"
		}
		return "it broke the MQTT protocol" + detail + "; " + from + " was closed."
	case trefoil.ReasonShutdown:
		return "the server was stopped, and the device has not come back since."
	case trefoil.ReasonSlow:
		return "it did not read what was sent to it; " + from + " was closed."
	case trefoil.ReasonInternal:
		return "the server failed on " + from + "; its log says why."
	default:
		return p.Reason + "."
	}
}

// silence tells about a keep-alive that was not kept [MQTT-3.1.2-22].
func silence(e Event, from string, now time.Time) string {
	if e.KeepAlive == 0 {
		return "no packet came for 1.5 × its keep-alive; " + from + " was closed."
	}
	text := fmt.Sprintf("no packet came for 1.5 × its keep-alive of %d s; %s was closed.", e.KeepAlive/time.Second, from)
	if e.Heard != 0 {
		text += " It last spoke " + clock(e.Heard, now) + "."
	}
	return text
}

// clock gives a time to the minute, with the day unless that is today.
func clock(i trefoil.Instant, now time.Time) string {
	t := i.Time()
	if t.Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// ago writes a duration in its largest unit.
func ago(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch n := int(d / u.size); {
		case n == 1:
			return "1 " + u.name + " ago"
		case n > 1:
			return fmt.Sprintf("%d %ss ago", n, u.name)
		}
	}
	return "just now"
}
