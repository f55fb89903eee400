package broker

import (
	"context"
	"errors"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// device is the engine's User.Data of a device.
type device struct {
	id     trefoil.DeviceID
	prefix string // "devices/{id}/"
	transport
}

// service is the engine's User.Data of a backend.
type service struct{ transport }

// The name spaces of sessions: a device and a service of the same name have
// different ones.
const (
	devicePrefix  = "device:"
	servicePrefix = "service:"
)

const topicRoot = "devices/"

// Authenticate takes a client certificate that names a device, or user name =
// device id and password = device token, or the name and an API token of a
// service.
func (b *Broker) Authenticate(ctx context.Context, r *mqtt.ConnectRequest) (mqtt.User, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return b.byCertificate(r)
	}
	if !r.HasUsername || r.Password == nil {
		return mqtt.User{}, &mqtt.Refusal{
			Reason: packet.NotAuthorized,
			Text:   "log in with the device id as user name and the device token as password",
		}
	}
	id, err := trefoil.ParseDeviceID(r.Username)
	if err == nil {
		_, err = b.Devices.Authenticate(ctx, id, string(r.Password))
	}
	if err == nil {
		return userOf(id, r), nil
	}
	if b.Services.Service(ctx, r.Username, string(r.Password)) {
		return mqtt.User{Name: servicePrefix + r.Username, Service: true, Data: service{transportOf(r)}}, nil
	}
	var known *trefoil.Error
	if errors.As(err, &known) {
		return mqtt.User{}, &mqtt.Refusal{Reason: packet.BadUserNameOrPassword, Text: "device id or token is wrong"}
	}
	return mqtt.User{}, err
}

func userOf(id trefoil.DeviceID, r *mqtt.ConnectRequest) mqtt.User {
	return mqtt.User{
		Name: devicePrefix + string(id),
		Data: &device{id: id, prefix: topicRoot + string(id) + "/", transport: transportOf(r)},
	}
}

// deviceOf gives the device that u is. Of a client from before a restart,
// whose will is published now, the engine knows the name alone.
func deviceOf(u mqtt.User) (*device, bool) {
	if who, ok := u.Data.(*device); ok {
		return who, true
	}
	id, ok := strings.CutPrefix(u.Name, devicePrefix)
	return &device{id: trefoil.DeviceID(id), prefix: topicRoot + id + "/"}, ok
}

// authorizer is the access rule: a device has the topics below its own, a
// service reads everything and writes outside of the devices' topics.
type authorizer struct{}

func (authorizer) Authorize(c *mqtt.Client, a mqtt.Action, topic string) bool {
	switch who := c.User.Data.(type) {
	case *device:
		return strings.HasPrefix(topic, who.prefix) && len(topic) > len(who.prefix)
	case service:
		return a == mqtt.Subscribe || !strings.HasPrefix(topic, topicRoot) && !strings.HasPrefix(topic, "provision/")
	default:
		return false
	}
}
