package broker

import (
	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/journal"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Journal takes what happens to the connections of devices.
type Journal interface {
	Add(id trefoil.DeviceID, e journal.Event)
}

// noteConnected and noteDisconnected are called in the order in which things
// happened to the device.
func (b *Broker) noteConnected(c *mqtt.Client, who *device) {
	e := eventOf(c, who)
	e.Kind, e.Time, e.Reason = journal.Connected, trefoil.InstantOf(c.Connected), trefoil.ReasonConnected
	b.Journal.Add(who.id, e)
}

func (b *Broker) noteDisconnected(c *mqtt.Client, who *device, end mqtt.End) {
	e := eventOf(c, who)
	e.Kind, e.Time, e.Reason, e.Detail = journal.Disconnected, trefoil.InstantOf(b.Now()), reasonOf(end), end.Text
	if end.Cause == mqtt.CauseKeepAlive { // it ends after one and a half times the keep-alive
		e.Heard = e.Time.Add(-c.KeepAlive - c.KeepAlive/2)
	}
	b.Journal.Add(who.id, e)
}

func eventOf(c *mqtt.Client, who *device) journal.Event {
	return journal.Event{
		Address: c.RemoteAddr.String(), Client: c.Session.ClientID, Protocol: protocolOf(c),
		Transport: string(who.transport), KeepAlive: c.KeepAlive,
	}
}

// refused notes a refused login with the device whose name it used. Other
// names are only counted: anybody can make them up.
func (b *Broker) refused(r mqtt.Refused) {
	id, err := trefoil.ParseDeviceID(r.Username)
	if err != nil || !b.Devices.Has(id) {
		if r.Username != "" {
			b.unknown.Add(1)
		}
		return
	}
	detail := r.Text
	switch {
	case r.Reason == packet.BadUserNameOrPassword: // what the client is told says less
		detail = "the token is wrong"
	case detail == "":
		detail = r.Reason.String()
	}
	b.Journal.Add(id, journal.Event{
		Kind: journal.Refused, Time: trefoil.InstantOf(b.Now()), Address: r.RemoteAddr.String(), Client: r.ClientID, Detail: detail,
	})
}

// RefusedUnknown counts refused connections whose user name is no device's.
func (b *Broker) RefusedUnknown() uint64 { return b.unknown.Load() }
