package api

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Broker is the MQTT server.
type Broker interface {
	Overview() BrokerInfo
	// Clients gives the connections that have text in user, client id or
	// address and that come behind after; "" is before the first.
	Clients(text, after string, limit int) ClientPage
	// Disconnect ends the connection of the session, and reports whether it
	// had one.
	Disconnect(session string) bool
}

// BrokerInfo is what the MQTT server does now. Counts that grow are since the
// start.
type BrokerInfo struct {
	Connections        int          `json:"connections" doc:"Open now"`
	Sessions           int          `json:"sessions" doc:"Those without a connection included"`
	Subscriptions      int          `json:"subscriptions"`
	Retained           int          `json:"retained" doc:"Retained messages"`
	RetainedBytes      int64        `json:"retainedBytes"`
	Queued             int          `json:"queued" doc:"QoS 1 and 2 messages that wait in all sessions"`
	Rates              BrokerRates  `json:"rates"`
	Totals             BrokerTotals `json:"totals"`
	RefusedLogins      uint64       `json:"refusedLogins" doc:"Connections refused for their credentials"`
	RefusedConnections uint64       `json:"refusedConnections" doc:"Connections that did not get through CONNECT, refused logins included"`
	RefusedUnknown     uint64       `json:"refusedUnknown" doc:"Those of them whose user name is no device's; they are in no device's events"`
	Dropped            uint64       `json:"dropped" doc:"Messages that did not reach a subscriber"`
	Limits             BrokerLimits `json:"limits"`
}

// BrokerRates are means over the last seconds.
type BrokerRates struct {
	MessagesIn  float64 `json:"messagesIn" doc:"PUBLISH packets per second"`
	MessagesOut float64 `json:"messagesOut" doc:"PUBLISH packets per second"`
	BytesIn     float64 `json:"bytesIn" doc:"Bytes of all packets per second"`
	BytesOut    float64 `json:"bytesOut" doc:"Bytes of all packets per second"`
}

// BrokerTotals count since the start.
type BrokerTotals struct {
	Accepted         uint64 `json:"accepted" doc:"Sockets"`
	Connected        uint64 `json:"connected" doc:"CONNECTs that were accepted"`
	Disconnected     uint64 `json:"disconnected" doc:"Ends of those"`
	TakenOver        uint64 `json:"takenOver" doc:"Ended because the same client connected again"`
	KeepAliveLost    uint64 `json:"keepAliveLost" doc:"Ended because nothing came for 1.5 times the keep-alive"`
	ProtocolFaults   uint64 `json:"protocolFaults" doc:"Ended for a malformed packet or a protocol error"`
	RefusedPublishes uint64 `json:"refusedPublishes" doc:"Publishes that got an error"`
	MessagesIn       uint64 `json:"messagesIn"`
	MessagesOut      uint64 `json:"messagesOut"`
	BytesIn          uint64 `json:"bytesIn"`
	BytesOut         uint64 `json:"bytesOut"`
}

// BrokerLimits are those of the configuration.
type BrokerLimits struct {
	Connections    int     `json:"connections"`
	Packet         int64   `json:"packet" doc:"Bytes of the largest packet"`
	Payload        int64   `json:"payload" doc:"Bytes of the largest telemetry payload"`
	ConnectTimeout float64 `json:"connectTimeout" doc:"Seconds until CONNECT must be there"`
}

// Client is one connection.
type Client struct {
	Session       string
	User          string
	Device        trefoil.DeviceID // "" for a service
	ClientID      string
	Protocol      string
	Transport     string
	Address       string
	KeepAlive     time.Duration
	Connected     time.Time
	InFlightIn    int
	InFlightOut   int
	Queued        int
	Subscriptions int
	MessagesIn    uint64
	MessagesOut   uint64
	BytesIn       uint64
	BytesOut      uint64
	Dropped       uint64
	LastError     string
}

// ClientPage is a part of the connections.
type ClientPage struct {
	Clients []Client
	Next    string // after of the next page, or "" when this is the last
	Total   int
}

type clientDoc struct {
	Session       string           `json:"session" doc:"Opaque; for DELETE" example:"3vqOSqlPzQ0qqVQK"`
	User          string           `json:"user" doc:"Device id, or name of the account of a service"`
	Device        trefoil.DeviceID `json:"device,omitempty" doc:"Left out for a service"`
	ClientID      string           `json:"clientId"`
	Protocol      string           `json:"protocol" enum:"3.1.1,5.0"`
	Transport     string           `json:"transport" enum:"tcp,tls,ws,wss"`
	Address       string           `json:"address" example:"10.0.0.7:52114"`
	KeepAlive     float64          `json:"keepAlive" doc:"Seconds, as agreed; 0: none"`
	Connected     time.Time        `json:"connected"`
	InFlightIn    int              `json:"inFlightIn" doc:"Received and not yet acknowledged"`
	InFlightOut   int              `json:"inFlightOut" doc:"Sent and not yet acknowledged"`
	Queued        int              `json:"queued" doc:"QoS 1 and 2 messages for it, those in flight included"`
	Subscriptions int              `json:"subscriptions"`
	MessagesIn    uint64           `json:"messagesIn"`
	MessagesOut   uint64           `json:"messagesOut"`
	BytesIn       uint64           `json:"bytesIn"`
	BytesOut      uint64           `json:"bytesOut"`
	Dropped       uint64           `json:"dropped" doc:"Messages to it that were dropped"`
	LastError     string           `json:"lastError,omitempty" doc:"Last refusal that it got"`
}

func clientDocOf(c Client) clientDoc {
	return clientDoc{
		Session: c.Session, User: c.User, Device: c.Device, ClientID: c.ClientID, Protocol: c.Protocol, Transport: c.Transport,
		Address: c.Address, KeepAlive: c.KeepAlive.Seconds(), Connected: c.Connected.UTC(),
		InFlightIn: c.InFlightIn, InFlightOut: c.InFlightOut, Queued: c.Queued, Subscriptions: c.Subscriptions,
		MessagesIn: c.MessagesIn, MessagesOut: c.MessagesOut, BytesIn: c.BytesIn, BytesOut: c.BytesOut,
		Dropped: c.Dropped, LastError: c.LastError,
	}
}

type brokerOutput struct{ Body BrokerInfo }

func (s *server) broker(context.Context, *struct{}) (*brokerOutput, error) {
	return &brokerOutput{Body: s.Broker.Overview()}, nil
}

type clientsInput struct {
	Text   string `query:"q" maxLength:"200" doc:"Part of user, client id or address"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"From next of the page before"`
}

type clientsOutput struct{ Body clientPageDoc }

type clientPageDoc struct {
	Items []clientDoc `json:"items" nullable:"false" doc:"By user and client id, devices before services"`
	Next  string      `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
	Total int         `json:"total" doc:"Connections that match, on all pages"`
}

func (s *server) listClients(_ context.Context, in *clientsInput) (*clientsOutput, error) {
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "query.cursor: not a cursor of this list; leave it out to start again")
	}
	page := s.Broker.Clients(in.Text, string(after), in.Limit)
	out := &clientsOutput{Body: clientPageDoc{
		Items: make([]clientDoc, len(page.Clients)),
		Next:  base64.RawURLEncoding.EncodeToString([]byte(page.Next)),
		Total: page.Total,
	}}
	for i, c := range page.Clients {
		out.Body.Items[i] = clientDocOf(c)
	}
	return out, nil
}

type sessionPath struct {
	Session string `path:"session" maxLength:"64"`
}

func (s *server) disconnectClient(_ context.Context, in *sessionPath) (*struct{}, error) {
	if !s.Broker.Disconnect(in.Session) {
		return nil, trefoil.Errorf(trefoil.CodeNotFound, "no connection has the session %q (any more)", in.Session)
	}
	return nil, nil
}
