package mqtt

import (
	"strconv"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// sysEvery is the time between two reports on $SYS.
const sysEvery = 10 * time.Second

// publishSys reports on $SYS/broker/… when somebody listens. Only services
// may subscribe there.
func (s *Server) publishSys(now time.Time) {
	version := s.subs.sysVersion.Load()
	if s.subs.sys.Load() == 0 || now.Sub(s.sysAt) < sysEvery && version == s.sysVersion {
		return
	}
	s.sysAt, s.sysVersion = now, version
	st := s.Stats()
	for _, v := range []struct {
		topic string
		value uint64
	}{
		{"clients/connected", uint64(st.Connections)},
		{"clients/total", uint64(st.Sessions)},
		{"clients/refused", st.Refused},
		{"subscriptions/count", uint64(st.Subscriptions)},
		{"retained messages/count", uint64(st.Retained)},
		{"store/messages/count", uint64(st.Queued)},
		{"messages/received", st.MessagesIn},
		{"messages/sent", st.MessagesOut},
		{"publish/messages/dropped", st.Dropped},
		{"publish/messages/refused", st.Refusals},
		{"bytes/received", st.BytesIn},
		{"bytes/sent", st.BytesOut},
		{"uptime", uint64(now.Sub(s.started) / time.Second)},
	} {
		m := &Message{Topic: "$SYS/broker/" + v.topic, Payload: strconv.AppendUint(nil, v.value, 10)}
		m.Properties = packet.PublishProperties{PayloadFormat: 1}
		s.Publish(m, nil)
	}
}

// Clients gives a snapshot of all connections, in no order.
func (s *Server) Clients() []ClientStats {
	conns := s.connections()
	list := make([]ClientStats, 0, len(conns))
	for _, c := range conns {
		if st, ok := c.stats(); ok {
			list = append(list, st)
		}
	}
	return list
}

func (c *conn) stats() (ClientStats, bool) {
	c.mu.Lock()
	st := ClientStats{Client: c.client, InFlightIn: c.pending, LastError: c.lastError}
	ok, ses := c.open && !c.ended, c.session
	c.mu.Unlock()
	if !ok {
		return st, false
	}
	ses.mu.Lock()
	st.InFlightOut, st.Queued, st.Subscriptions = ses.inflight, ses.queue.count, len(ses.subs)
	st.Dropped = ses.dropped
	ses.mu.Unlock()
	st.MessagesIn, st.MessagesOut = c.messagesIn.Load(), c.messagesOut.Load()
	st.BytesIn, st.BytesOut = c.bytesIn.Load(), c.bytesOut.Load()
	st.Dropped += c.dropped.Load()
	return st, true
}

// Stats gives a snapshot of the server.
func (s *Server) Stats() Stats {
	n := &s.count
	st := Stats{
		Accepted: n.accepted.Load(), Connected: n.connected.Load(), Refused: n.refused.Load(), BadLogins: n.badLogins.Load(),
		Disconnected: n.disconnected.Load(), TakenOver: n.takenOver.Load(), KeepAliveLost: n.keepAliveLost.Load(),
		ProtocolFault: n.protocolFault.Load(), Panics: n.panics.Load(), MessagesIn: n.messagesIn.Load(), MessagesOut: n.messagesOut.Load(),
		BytesIn: n.bytesIn.Load(), BytesOut: n.bytesOut.Load(), Refusals: n.refusals.Load(), Dropped: n.dropped.Load(),
		StoreErrors: n.storeErrors.Load(), Subscriptions: int(s.subs.count.Load()),
	}
	st.Retained, st.RetainedBytes = s.retained.usage()
	s.mu.Lock()
	st.Connections, st.Sessions = s.opened, len(s.sessions)
	sessions := make([]*session, 0, len(s.sessions))
	for _, ses := range s.sessions {
		sessions = append(sessions, ses)
	}
	s.mu.Unlock()
	for _, ses := range sessions {
		ses.mu.Lock()
		st.Queued += ses.queue.count
		ses.mu.Unlock()
	}
	return st
}
