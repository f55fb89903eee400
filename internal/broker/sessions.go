package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/mqtt"
)

// Sessions keeps MQTT sessions in the store; it is the engine's mqtt.Store.
// All writes go through the commit loop.
type Sessions struct {
	rows store.Querier
	loop interface {
		Accept(ctx context.Context, w ingest.Write)
	}
}

// NewSessions makes the session store. rows reads what is committed.
func NewSessions(rows store.Querier, loop *ingest.Loop) *Sessions {
	return &Sessions{rows: rows, loop: loop}
}

// Commit makes changes durable with the next commit.
func (s *Sessions) Commit(changes []mqtt.Change, done func(error)) {
	own := slices.Clone(changes)
	s.loop.Accept(context.Background(), ingest.Write{
		Rows: func(ctx context.Context, w store.Writer) error { return applyChanges(ctx, w, own) },
		Done: func(_ trefoil.Seq, err error) { done(err) },
	})
}

// Load visits all sessions and retained messages.
func (s *Sessions) Load(ctx context.Context, v mqtt.Visitor) error {
	sessions := make(map[mqtt.SessionID]*mqtt.StoredSession)
	for _, load := range []func(context.Context, map[mqtt.SessionID]*mqtt.StoredSession) error{
		s.loadSessions, s.loadSubscriptions, s.loadReceived, s.loadQueues,
	} {
		if err := load(ctx, sessions); err != nil {
			return fmt.Errorf("load MQTT sessions: %w", err)
		}
	}
	for _, session := range sessions {
		if err := v.Session(*session); err != nil {
			return err
		}
	}
	return s.loadRetained(ctx, v.Retained)
}

type sessionMap = map[mqtt.SessionID]*mqtt.StoredSession

func (s *Sessions) loadSessions(ctx context.Context, into sessionMap) error {
	return each(ctx, s.rows, `select username, client, created, service, expiry, ends, next_seq,
			will, will_time, will_delay, will_at from mqtt_session`, nil,
		func(scan func(...any) error) error {
			var id mqtt.SessionID
			var r mqtt.SessionRecord
			var created, ends, willTime, willAt int64
			var will []byte
			err := scan(&id.User, &id.ClientID, &created, &r.Service, &r.Expiry, &ends, &r.NextSeq,
				&will, &willTime, &r.WillDelay, &willAt)
			if err != nil {
				return err
			}
			r.Created, r.Ends, r.WillAt = timeOf(created), timeOf(ends), timeOf(willAt)
			if will != nil {
				if r.Will, err = decodeMessage(will, timeOf(willTime)); err != nil {
					return err
				}
			}
			into[id] = &mqtt.StoredSession{ID: id, Record: r}
			return nil
		})
}

func (s *Sessions) loadSubscriptions(ctx context.Context, into sessionMap) error {
	return each(ctx, s.rows, `select username, client, filter, qos, no_local, retain_as_published, retain_handling, id
			from mqtt_subscription`, nil,
		func(scan func(...any) error) error {
			var id mqtt.SessionID
			var r mqtt.SubscriptionRecord
			if err := scan(&id.User, &id.ClientID, &r.Filter, &r.QoS, &r.NoLocal, &r.RetainAsPublished, &r.RetainHandling, &r.ID); err != nil {
				return err
			}
			into[id].Subscriptions = append(into[id].Subscriptions, r)
			return nil
		})
}

func (s *Sessions) loadReceived(ctx context.Context, into sessionMap) error {
	return each(ctx, s.rows, `select username, client, packet_id from mqtt_received`, nil,
		func(scan func(...any) error) error {
			var id mqtt.SessionID
			var packetID uint16
			if err := scan(&id.User, &id.ClientID, &packetID); err != nil {
				return err
			}
			into[id].Received = append(into[id].Received, packetID)
			return nil
		})
}

func (s *Sessions) loadQueues(ctx context.Context, into sessionMap) error {
	err := each(ctx, s.rows, `select username, client, seq, size, sent, released from mqtt_queue`, nil,
		func(scan func(...any) error) error {
			var id mqtt.SessionID
			var e mqtt.QueueEntry
			if err := scan(&id.User, &id.ClientID, &e.Seq, &e.Size, &e.Sent, &e.Released); err != nil {
				return err
			}
			into[id].Queue = append(into[id].Queue, e)
			return nil
		})
	for _, session := range into {
		slices.SortFunc(session.Queue, func(a, b mqtt.QueueEntry) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	return err
}

func (s *Sessions) loadRetained(ctx context.Context, visit func(*mqtt.Message) error) error {
	err := each(ctx, s.rows, `select message, message_time from mqtt_retained`, nil,
		func(scan func(...any) error) error {
			m, err := scanMessage(scan)
			if err != nil {
				return err
			}
			return visit(m)
		})
	if err != nil {
		return fmt.Errorf("load retained messages: %w", err)
	}
	return nil
}

func scanMessage(scan func(...any) error) (*mqtt.Message, error) {
	var body []byte
	var created int64
	if err := scan(&body, &created); err != nil {
		return nil, err
	}
	return decodeMessage(body, timeOf(created))
}

// Queue reads a page of a session's queue.
func (s *Sessions) Queue(ctx context.Context, id mqtt.SessionID, after uint64, limit int) ([]mqtt.Queued, error) {
	var page []mqtt.Queued
	err := each(ctx, s.rows, `select seq, qos, retain, subscription_ids, sent, released, message, message_time
			from mqtt_queue where username = $1 and client = $2 and seq > $3 order by seq limit $4`,
		[]any{id.User, id.ClientID, int64(after), int64(limit)},
		func(scan func(...any) error) error {
			q, err := scanQueued(scan)
			page = append(page, q)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read the queue of MQTT session %s: %w", id, err)
	}
	return page, nil
}

func scanQueued(scan func(...any) error) (q mqtt.Queued, err error) {
	var ids string
	var body []byte
	var created int64
	if err := scan(&q.Seq, &q.QoS, &q.Retain, &ids, &q.Sent, &q.Released, &body, &created); err != nil {
		return q, err
	}
	if err := json.Unmarshal([]byte(ids), &q.SubscriptionIDs); err != nil {
		return q, fmt.Errorf("subscription identifiers %q: %w", ids, err)
	}
	if body != nil {
		q.Message, err = decodeMessage(body, timeOf(created))
	}
	return q, err
}

// each runs a query and calls visit for every row.
func each(ctx context.Context, q store.Querier, query string, args []any, visit func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

var _ mqtt.Store = (*Sessions)(nil)
