package app

import (
	"context"
	"time"

	"github.com/trefoil-iot/trefoil/internal/api"
	"github.com/trefoil-iot/trefoil/internal/broker"
)

// monitor shows the MQTT server to the API.
type monitor struct{ *App }

// Overview tells what the MQTT server does now.
func (m monitor) Overview() api.BrokerInfo {
	s, limits := m.broker.Stats(), m.config.Limits
	return api.BrokerInfo{
		Connections: s.Connections, Sessions: s.Sessions, Subscriptions: s.Subscriptions,
		Retained: s.Retained, RetainedBytes: s.RetainedBytes, Queued: s.Queued,
		Rates: api.BrokerRates(m.broker.Rates()),
		Totals: api.BrokerTotals{
			Accepted: s.Accepted, Connected: s.Connected, Disconnected: s.Disconnected, TakenOver: s.TakenOver,
			KeepAliveLost: s.KeepAliveLost, ProtocolFaults: s.ProtocolFault, RefusedPublishes: s.Refusals,
			MessagesIn: s.MessagesIn, MessagesOut: s.MessagesOut, BytesIn: s.BytesIn, BytesOut: s.BytesOut,
		},
		RefusedLogins: s.BadLogins, RefusedConnections: s.Refused, RefusedUnknown: m.broker.RefusedUnknown(), Dropped: s.Dropped,
		Limits: api.BrokerLimits{
			Connections: limits.Connections, Packet: int64(limits.Packet), Payload: int64(limits.Payload),
			ConnectTimeout: limits.ConnectTimeout.Seconds(),
		},
	}
}

// Clients gives a page of the connections.
func (m monitor) Clients(text, after string, limit int) api.ClientPage {
	page := m.broker.Connections(broker.ClientQuery{Text: text, After: after, Limit: limit})
	out := api.ClientPage{Next: page.Next, Total: page.Total, Clients: make([]api.Client, len(page.Clients))}
	for i, c := range page.Clients {
		out.Clients[i] = api.Client(c)
	}
	return out
}

// Disconnect ends the connection of a session, if it has one.
func (m monitor) Disconnect(session string) bool { return m.broker.DisconnectSession(session) }

// sampleBroker keeps the rates of the MQTT server up to date.
func (a *App) sampleBroker(ctx context.Context) error {
	tick := time.NewTicker(broker.SampleEvery)
	defer tick.Stop()
	for {
		a.broker.Sample(a.now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
