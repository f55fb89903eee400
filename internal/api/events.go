package api

import (
	"context"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/journal"
)

// Journal remembers the connection events of devices.
type Journal interface {
	// Of gives the last events of a device, the latest first.
	Of(ctx context.Context, id trefoil.DeviceID) ([]journal.Event, error)
}

type eventDoc struct {
	Kind       journal.Kind `json:"kind" enum:"connected,disconnected,refused" doc:"refused is a login"`
	Time       time.Time    `json:"time" doc:"Of the latest one, if it counts several"`
	Count      int64        `json:"count" doc:"Equal refusals in a row are one event; 1 for all others"`
	First      time.Time    `json:"first,omitzero" doc:"Of the first one, if it counts several"`
	Address    string       `json:"address" example:"10.0.0.7:52114"`
	ClientID   string       `json:"clientId"`
	Protocol   string       `json:"protocol,omitempty" enum:"3.1.1,5.0" doc:"Left out for a refused login"`
	Transport  string       `json:"transport,omitempty" enum:"tcp,tls,ws,wss" doc:"Left out for a refused login"`
	KeepAlive  float64      `json:"keepAlive,omitempty" doc:"Seconds, as agreed"`
	Reason     string       `json:"reason,omitempty" doc:"Why a connection ended, in the words of the presence"`
	Detail     string       `json:"detail,omitempty" doc:"More for people; why a login was refused"`
	LastPacket time.Time    `json:"lastPacket,omitzero" doc:"When the last packet came, for a lost keep-alive"`
}

func eventDocOf(e journal.Event) eventDoc {
	d := eventDoc{
		Kind: e.Kind, Time: e.Time.Time(), Count: e.Count, Address: e.Address, ClientID: e.Client,
		Protocol: e.Protocol, Transport: e.Transport, KeepAlive: e.KeepAlive.Seconds(), Detail: e.Detail,
	}
	if e.Kind == journal.Disconnected {
		d.Reason = e.Reason
	}
	if e.Count > 1 {
		d.First = e.First.Time()
	}
	if e.Heard != 0 {
		d.LastPacket = e.Heard.Time()
	}
	return d
}

type eventsOutput struct {
	Body eventsDoc
}

type eventsDoc struct {
	Items       []eventDoc `json:"items" nullable:"false" doc:"The latest first; at most 50"`
	Explanation string     `json:"explanation" doc:"Why the device is offline, or since when and from where it is online"`
}

func (s *server) deviceEvents(ctx context.Context, in *devicePath) (*eventsOutput, error) {
	d, err := s.Devices.Find(in.ID)
	if err != nil {
		return nil, err
	}
	events, err := s.Journal.Of(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	out := &eventsOutput{Body: eventsDoc{Items: make([]eventDoc, len(events)), Explanation: journal.Explain(d, events, s.Now())}}
	for i, e := range events {
		out.Body.Items[i] = eventDocOf(e)
	}
	return out, nil
}

// explained is the document of one device with the sentence that lists leave
// out, because it takes a look into the events.
func (s *server) explained(ctx context.Context, d trefoil.Device) (DeviceDoc, error) {
	events, err := s.Journal.Of(ctx, d.ID)
	if err != nil {
		return DeviceDoc{}, err
	}
	doc := documentOf(d)
	doc.Explanation = journal.Explain(d, events, s.Now())
	return doc, nil
}
