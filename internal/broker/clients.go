package broker

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Client is one connection as operators see it.
type Client struct {
	Session       string           // opaque; names the session of the connection
	User          string           // device id, or name of the account of a service
	Device        trefoil.DeviceID // "" for a service
	ClientID      string
	Protocol      string // "3.1.1" or "5.0"
	Transport     string // tcp, tls, ws or wss
	Address       string // host:port
	KeepAlive     time.Duration
	Connected     time.Time
	InFlightIn    int // received and not yet acknowledged
	InFlightOut   int // sent and not yet acknowledged
	Queued        int
	Subscriptions int
	MessagesIn    uint64
	MessagesOut   uint64
	BytesIn       uint64
	BytesOut      uint64
	Dropped       uint64
	LastError     string
}

// ClientQuery selects connections. The zero ClientQuery selects all.
type ClientQuery struct {
	Text  string // part of user, client id or address, in any case
	After string // Next of the page before
	Limit int    // largest number of connections; 0 means 50
}

// ClientPage is a part of the list, in the order of users and client ids.
type ClientPage struct {
	Clients []Client
	Next    string // After of the next page, or "" when this is the last
	Total   int    // connections that match, on all pages
}

// Connections gives one page of the connections of this moment.
func (b *Broker) Connections(q ClientQuery) ClientPage {
	limit := cmp.Or(max(q.Limit, 0), 50)
	text := strings.ToLower(strings.TrimSpace(q.Text))
	all := slices.DeleteFunc(b.Clients(), func(c mqtt.ClientStats) bool { return !matches(c.Client, text) })
	page := ClientPage{Total: len(all)}
	all = slices.DeleteFunc(all, func(c mqtt.ClientStats) bool { return q.After != "" && keyOf(c.Session) <= q.After })
	slices.SortFunc(all, func(x, y mqtt.ClientStats) int { // as keyOf, which allocates
		return cmp.Or(strings.Compare(x.Session.User, y.Session.User), strings.Compare(x.Session.ClientID, y.Session.ClientID))
	})
	if len(all) > limit {
		all = all[:limit]
		page.Next = keyOf(all[limit-1].Session)
	}
	for _, c := range all {
		page.Clients = append(page.Clients, clientOf(c))
	}
	return page
}

// keyOf orders sessions: devices, then services, each by name. Neither part
// can have a zero byte [MQTT-1.5.4-2].
func keyOf(id mqtt.SessionID) string { return id.User + "\x00" + id.ClientID }

func matches(c *mqtt.Client, text string) bool {
	if text == "" {
		return true
	}
	for _, s := range []string{nameOf(c.Session), c.Session.ClientID, c.RemoteAddr.String()} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// nameOf gives the name of the user without its name space.
func nameOf(id mqtt.SessionID) string {
	_, name, _ := strings.Cut(id.User, ":")
	return name
}

func clientOf(c mqtt.ClientStats) Client {
	out := Client{
		Session: sessionName(c.Session), User: nameOf(c.Session), ClientID: c.Session.ClientID,
		Protocol: protocolOf(c.Client), Address: c.RemoteAddr.String(), KeepAlive: c.KeepAlive, Connected: c.Connected,
		InFlightIn: c.InFlightIn, InFlightOut: c.InFlightOut, Queued: c.Queued, Subscriptions: c.Subscriptions,
		MessagesIn: c.MessagesIn, MessagesOut: c.MessagesOut, BytesIn: c.BytesIn, BytesOut: c.BytesOut,
		Dropped: c.Dropped, LastError: c.LastError,
	}
	switch who := c.User.Data.(type) {
	case *device:
		out.Device, out.Transport = who.id, string(who.transport)
	case service:
		out.Transport = string(who.transport)
	}
	return out
}

// sessionName names a session in URLs, in a fixed length whatever client ids
// are.
func sessionName(id mqtt.SessionID) string {
	sum := sha256.Sum256([]byte(keyOf(id)))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func protocolOf(c *mqtt.Client) string {
	if c.Version == packet.V5 {
		return "5.0"
	}
	return "3.1.1"
}

// DisconnectSession ends the connection of the session, for an operator; its
// client may connect again. It reports whether there was one.
func (b *Broker) DisconnectSession(session string) bool {
	n := b.Disconnect(func(c *mqtt.Client) bool { return sessionName(c.Session) == session },
		packet.AdministrativeAction, "disconnected by an operator")
	return n > 0
}
