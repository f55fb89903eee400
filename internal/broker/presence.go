package broker

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// presence counts the connections of each device: a device with two client
// ids is online until both are gone.
type presence struct {
	mu          sync.Mutex
	connections map[trefoil.DeviceID]int
}

func (b *Broker) connected(c *mqtt.Client, _ bool) {
	who, ok := c.User.Data.(*device)
	if !ok {
		return
	}
	b.presence.mu.Lock() // held until the presence is noted: the order of both must agree
	defer b.presence.mu.Unlock()
	b.noteConnected(c, who)
	b.presence.connections[who.id]++
	b.Devices.SetPresence(who.id, trefoil.Presence{
		Online: true, Reason: trefoil.ReasonConnected, Since: trefoil.InstantOf(c.Connected),
	})
}

func (b *Broker) disconnected(c *mqtt.Client, e mqtt.End) {
	who, ok := c.User.Data.(*device)
	if !ok {
		return
	}
	b.presence.mu.Lock()
	defer b.presence.mu.Unlock()
	b.noteDisconnected(c, who, e)
	if n := b.presence.connections[who.id]; n > 1 {
		b.presence.connections[who.id] = n - 1
		return
	}
	delete(b.presence.connections, who.id)
	b.Devices.SetPresence(who.id, trefoil.Presence{Reason: reasonOf(e), Since: trefoil.InstantOf(b.Now())})
}

// reasonOf says why a device is offline.
func reasonOf(e mqtt.End) string {
	switch e.Cause {
	case mqtt.CauseDisconnect:
		return trefoil.ReasonDisconnect
	case mqtt.CauseWithWill:
		return trefoil.ReasonWill
	case mqtt.CauseKeepAlive:
		return trefoil.ReasonKeepAlive
	case mqtt.CauseTakenOver:
		return trefoil.ReasonTakenOver
	case mqtt.CauseKicked:
		if e.Reason == packet.NotAuthorized {
			return trefoil.ReasonRevoked
		}
		return trefoil.ReasonKicked
	case mqtt.CauseProtocol:
		return withDetail(trefoil.ReasonProtocol, e.Text)
	case mqtt.CauseSlow:
		return trefoil.ReasonSlow
	case mqtt.CauseShutdown:
		return trefoil.ReasonShutdown
	case mqtt.CauseInternal:
		return trefoil.ReasonInternal
	default:
		return trefoil.ReasonLost
	}
}

func withDetail(reason, detail string) string {
	if detail == "" {
		return reason
	}
	return reason + ": " + detail
}

// status is the JSON on devices/{id}/status.
type status struct {
	Status string    `json:"status"` // online or offline
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// PublishStatus writes the retained status topic of a device. It is called
// after the commit that holds the presence.
func (b *Broker) PublishStatus(id trefoil.DeviceID, p trefoil.Presence) {
	s := status{Status: "offline", Reason: p.Reason, Since: p.Since.Time()}
	if p.Online {
		s.Status = "online"
	}
	body, err := json.Marshal(s)
	if err != nil {
		b.Log.Error("cannot encode a status", "device", id, "error", err)
		return
	}
	b.publishStatus(id, body)
}

// ClearStatus removes the retained status of a deleted device.
func (b *Broker) ClearStatus(id trefoil.DeviceID) { b.publishStatus(id, nil) }

func (b *Broker) publishStatus(id trefoil.DeviceID, body []byte) {
	m := &mqtt.Message{Topic: topicRoot + string(id) + "/status", Payload: body, QoS: 1, Retain: true}
	if body != nil {
		m.Properties = packet.PublishProperties{PayloadFormat: 1, ContentType: "application/json"}
	}
	b.Publish(m, func(err error) {
		if err != nil {
			b.Log.Warn("the status of a device could not be stored as retained message", "device", id, "error", err)
		}
	})
}
