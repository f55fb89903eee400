package broker

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// refusal is the JSON on devices/{id}/errors.
type refusal struct {
	Topic  string    `json:"topic"`  // of the refused publish
	Reason string    `json:"reason"` // name of the reason code
	Code   int       `json:"code"`   // reason code of MQTT 5
	Detail string    `json:"detail"` // what was wrong, for people
	Time   time.Time `json:"time"`
}

// tell writes to the error topic of the device when no ack can say why: MQTT
// 3.1.1 has no reason codes, and QoS 0 no acks.
func (b *Broker) tell(in *mqtt.Inbound, who *device, reason packet.ReasonCode, text string) {
	if in.Client.Version == packet.V5 && in.QoS > 0 {
		return
	}
	b.publishError(who.id, in.Topic, reason, text)
}

func (b *Broker) publishError(id trefoil.DeviceID, topic string, reason packet.ReasonCode, text string) {
	body, err := json.Marshal(refusal{Topic: topic, Reason: reason.String(), Code: int(reason), Detail: text, Time: b.Now().UTC()})
	if err != nil {
		b.Log.Error("cannot encode a refusal", "device", id, "error", err)
		return
	}
	b.Publish(&mqtt.Message{Topic: topicRoot + string(id) + "/errors", Payload: body, Properties: packet.PublishProperties{
		PayloadFormat: 1, ContentType: "application/json",
	}}, nil)
}

func tooLarge(size, limit int) string {
	return fmt.Sprintf("payload has %d bytes; at most %d are allowed", size, limit)
}
