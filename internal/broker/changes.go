package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/mqtt"
)

// The statements of the changes. A change for a session that does not exist
// has no effect, which the inserts check by themselves; all of them may run
// twice. Both databases need to be told the types of what is selected; that
// of bytes has no common name, so it is taken from a column.
const (
	saveSession = `insert into mqtt_session
			(username, client, created, service, expiry, ends, next_seq, will, will_time, will_delay, will_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		on conflict (username, client) do update set created = excluded.created, service = excluded.service,
			expiry = excluded.expiry, ends = excluded.ends, next_seq = excluded.next_seq, will = excluded.will,
			will_time = excluded.will_time, will_delay = excluded.will_delay, will_at = excluded.will_at`

	deleteSession = `delete from mqtt_session where username = $1 and client = $2`

	addSubscription = `insert into mqtt_subscription
			(username, client, filter, qos, no_local, retain_as_published, retain_handling, id)
		select username, client, $3, cast($4 as integer), cast($5 as boolean), cast($6 as boolean), cast($7 as integer), cast($8 as bigint)
			from mqtt_session where username = $1 and client = $2
		on conflict (username, client, filter) do update set qos = excluded.qos, no_local = excluded.no_local,
			retain_as_published = excluded.retain_as_published, retain_handling = excluded.retain_handling, id = excluded.id`

	removeSubscription = `delete from mqtt_subscription where username = $1 and client = $2 and filter = $3`

	enqueue = `insert into mqtt_queue
			(username, client, seq, qos, retain, subscription_ids, size, sent, released, message, message_time)
		select username, client, cast($3 as bigint), cast($4 as integer), cast($5 as boolean), $6, cast($7 as bigint),
				cast($8 as boolean), cast($9 as boolean), case when 1 = 1 then $10 else will end, cast($11 as bigint)
			from mqtt_session where username = $1 and client = $2
		on conflict (username, client, seq) do update set qos = excluded.qos, retain = excluded.retain,
			subscription_ids = excluded.subscription_ids, size = excluded.size, sent = excluded.sent,
			released = excluded.released, message = excluded.message, message_time = excluded.message_time`

	dequeue = `delete from mqtt_queue where username = $1 and client = $2 and seq = $3`

	markSent = `update mqtt_queue set sent = true where username = $1 and client = $2 and seq <= $3 and sent = false`

	release = `update mqtt_queue set released = true, message = null where username = $1 and client = $2 and seq = $3`

	addReceived = `insert into mqtt_received (username, client, packet_id)
		select username, client, cast($3 as integer) from mqtt_session where username = $1 and client = $2
		on conflict (username, client, packet_id) do nothing`

	removeReceived = `delete from mqtt_received where username = $1 and client = $2 and packet_id = $3`

	retain = `insert into mqtt_retained (topic, message, message_time) values ($1, $2, $3)
		on conflict (topic) do update set message = excluded.message, message_time = excluded.message_time`

	unretain = `delete from mqtt_retained where topic = $1`

	expireRetained = `delete from mqtt_retained where topic = $1 and message_time <= $2`
)

// applyChanges writes the engine's changes in their order.
func applyChanges(ctx context.Context, w store.Writer, changes []mqtt.Change) error {
	for i := range changes {
		if err := applyChange(ctx, w, &changes[i]); err != nil {
			return fmt.Errorf("store a change of MQTT session %s: %w", changes[i].Session, err)
		}
	}
	return nil
}

func applyChange(ctx context.Context, w store.Writer, c *mqtt.Change) error {
	user, client := c.Session.User, c.Session.ClientID
	exec := func(query string, args ...any) error {
		_, err := w.ExecContext(ctx, query, args...)
		return err
	}
	switch c.Kind {
	case mqtt.SaveSession:
		return exec(saveSession, sessionArgs(c.Session, c.Record)...)
	case mqtt.DeleteSession:
		return exec(deleteSession, user, client)
	case mqtt.AddSubscription:
		s := c.Subscription
		return exec(addSubscription, user, client, s.Filter, int64(s.QoS), s.NoLocal, s.RetainAsPublished, int64(s.RetainHandling), int64(s.ID))
	case mqtt.RemoveSubscription:
		return exec(removeSubscription, user, client, c.Subscription.Filter)
	case mqtt.Enqueue:
		args, err := queueArgs(c)
		if err != nil {
			return err
		}
		return exec(enqueue, args...)
	case mqtt.Dequeue:
		return exec(dequeue, user, client, int64(c.Seq))
	case mqtt.MarkSent:
		return exec(markSent, user, client, int64(c.Seq))
	case mqtt.Release:
		return exec(release, user, client, int64(c.Seq))
	case mqtt.AddReceived:
		return exec(addReceived, user, client, int64(c.PacketID))
	case mqtt.RemoveReceived:
		return exec(removeReceived, user, client, int64(c.PacketID))
	case mqtt.Retain:
		return exec(retain, c.Message.Topic, encodeMessage(c.Message), micros(c.Message.Created))
	case mqtt.Unretain:
		return exec(unretain, c.Topic)
	case mqtt.ExpireRetained:
		return exec(expireRetained, c.Topic, micros(c.Message.Created))
	default:
		return fmt.Errorf("unknown kind of change %d", c.Kind)
	}
}

func sessionArgs(id mqtt.SessionID, r *mqtt.SessionRecord) []any {
	var will []byte
	var willTime int64
	if r.Will != nil {
		will, willTime = encodeMessage(r.Will), micros(r.Will.Created)
	}
	return []any{
		id.User, id.ClientID, micros(r.Created), r.Service, int64(r.Expiry), micros(r.Ends), int64(r.NextSeq),
		will, willTime, int64(r.WillDelay), micros(r.WillAt),
	}
}

func queueArgs(c *mqtt.Change) ([]any, error) {
	q := c.Queued
	ids, err := json.Marshal(q.SubscriptionIDs)
	if err != nil {
		return nil, fmt.Errorf("encode subscription identifiers: %w", err)
	}
	var message []byte
	var messageTime int64
	if q.Message != nil {
		message, messageTime = encodeMessage(q.Message), micros(q.Message.Created)
	}
	return []any{
		c.Session.User, c.Session.ClientID, int64(q.Seq), int64(q.QoS), q.Retain, string(ids), int64(c.Size),
		q.Sent, q.Released, message, messageTime,
	}, nil
}

// micros gives t in the unit of the tables; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return int64(trefoil.InstantOf(t))
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return trefoil.Instant(us).Time()
}
