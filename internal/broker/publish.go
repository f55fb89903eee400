package broker

import (
	"context"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/payload"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// What a device may publish below devices/{id}/ besides telemetry. A plus
// stands for one level.
var upTopics = []string{"status", "config/reported", "commands/+/reply", "firmware/status", "firmware/+/+"}

const telemetry = "telemetry"

// HandlePublish takes every publish that the authoriser allowed.
func (b *Broker) HandlePublish(in *mqtt.Inbound) {
	who, ok := deviceOf(in.Client.User)
	if !ok {
		in.Forward()
		return
	}
	topic := in.Topic[len(who.prefix):]
	metric, isMetric := strings.CutPrefix(topic, telemetry+"/")
	switch {
	case topic == telemetry:
		b.ingest(in, who, "")
	case isMetric && metric != "":
		b.ingest(in, who, metric)
	case isUp(topic):
		in.Forward()
	default:
		b.refuse(in, who, trefoil.DropUnknownTopic, packet.NotAuthorized,
			"topic is not one that a device publishes; below "+who.prefix+" there are telemetry, telemetry/{metric}, "+
				strings.ReplaceAll(strings.Join(upTopics, ", "), "+", "{…}"))
	}
}

func isUp(topic string) bool {
	for _, pattern := range upTopics {
		if packet.Match(pattern, topic) {
			return true
		}
	}
	return false
}

// ingest decodes a publish in the goroutine of its connection and hands it to
// the commit loop together with what the engine must keep for it. The publish
// is acked after that commit.
func (b *Broker) ingest(in *mqtt.Inbound, who *device, metric string) {
	if len(in.Payload) > b.Payload {
		b.refuse(in, who, trefoil.DropTooLarge, packet.QuotaExceeded, tooLarge(len(in.Payload), b.Payload))
		return
	}
	m := b.Ingest.NewMessage()
	m.Device, m.Via, m.Received = who.id, trefoil.ViaMQTT, trefoil.InstantOf(b.Now())
	var err error
	m.Readings, err = b.Decoder.Decode(payload.Source{
		ContentType: in.Properties.ContentType, Metric: metric, Received: m.Received,
	}, in.Payload, m.Readings[:0])
	if err != nil {
		b.refuse(in, who, trefoil.DropMalformed, packet.PayloadFormatInvalid, err.Error())
		return
	}
	w := ingest.Write{Message: m, Rows: b.rows(in), Done: func(_ trefoil.Seq, err error) { b.settled(in, who, err) }}
	if in.QoS > 0 {
		b.Ingest.Accept(context.Background(), w) // ends when the loop stops, if not before
		return
	}
	if err := b.Ingest.TryAccept(w); err != nil {
		reason := trefoil.DropQueueFull
		if trefoil.CodeOf(err) == trefoil.CodeUnavailable {
			reason = trefoil.DropShutdown
		}
		b.refuse(in, who, reason, packet.QuotaExceeded, err.Error())
	}
}

// rows makes the engine's changes part of the commit.
func (b *Broker) rows(in *mqtt.Inbound) func(context.Context, store.Writer) error {
	if len(in.Changes) == 0 {
		return nil
	}
	changes := in.Changes
	return func(ctx context.Context, w store.Writer) error { return applyChanges(ctx, w, changes) }
}

// settled acks a publish whose fate the commit loop knows. The ledger has
// counted it already.
func (b *Broker) settled(in *mqtt.Inbound, who *device, err error) {
	switch trefoil.CodeOf(err) {
	case "":
		in.Ack(packet.Success, "")
	case trefoil.CodeTooMany:
		b.tell(in, who, packet.QuotaExceeded, err.Error())
		in.Ack(packet.QuotaExceeded, err.Error())
	case trefoil.CodeInvalid:
		b.tell(in, who, packet.PayloadFormatInvalid, err.Error())
		in.Ack(packet.PayloadFormatInvalid, err.Error())
	case trefoil.CodeNotFound:
		in.Ack(packet.NotAuthorized, "the device was deleted")
	default: // not stored, and may be sent again
		in.Ack(packet.UnspecifiedError, "not stored; send it again")
	}
}

// refuse ends a publish for good: ledger, error topic, ack with the reason.
func (b *Broker) refuse(in *mqtt.Inbound, who *device, why trefoil.DropReason, reason packet.ReasonCode, text string) {
	b.Ledger.Drop(trefoil.Drop{Device: who.id, Reason: why, Topic: in.Topic, Detail: text, Sample: in.Payload})
	b.tell(in, who, reason, text)
	in.Ack(reason, text)
}

// dropped is told by the engine what it refused by itself.
func (b *Broker) dropped(d mqtt.Drop) {
	id, ok := strings.CutPrefix(d.Session.User, devicePrefix)
	reasons := map[mqtt.DropReason]trefoil.DropReason{
		mqtt.DropUnauthorized: trefoil.DropForeignTopic,
		mqtt.DropRate:         trefoil.DropRate,
		mqtt.DropInvalid:      trefoil.DropMalformed,
		mqtt.DropRetained:     trefoil.DropRefused,
	}
	reason, known := reasons[d.Reason]
	if !ok || !d.Inbound || !known {
		return // messages towards subscribers are counted by the engine
	}
	detail := string(d.Reason)
	if reason == trefoil.DropForeignTopic {
		detail = "the device may publish below " + topicRoot + id + "/ only"
		b.publishError(trefoil.DeviceID(id), d.Topic, packet.NotAuthorized, detail)
	}
	b.Ledger.Drop(trefoil.Drop{Device: trefoil.DeviceID(id), Reason: reason, Topic: d.Topic, Detail: detail, Sample: d.Payload})
}
