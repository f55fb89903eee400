package mqtt

import "github.com/trefoil-iot/trefoil/mqtt/packet"

// Reauthorize asks the [Authorizer] again about the subscriptions and the will
// of the connected clients for which match is true, as after a change of what
// they may do. What is not allowed any more is gone when it returns, and a
// client that lost something is disconnected with 0x87, so that it knows. It
// returns how many there were.
//
// Sessions that are offline are asked about when their clients connect: only
// then is it known who they are. Messages that were queued while a
// subscription was allowed are still delivered; [Server.Forget] ends sessions
// with their queues.
func (s *Server) Reauthorize(match func(*Client) bool) int {
	n := 0
	for _, c := range s.connections() {
		c.mu.Lock()
		live := c.session != nil && !c.ended
		c.mu.Unlock()
		if live && match(c.client) && s.reauthorize(c) {
			n++
		}
	}
	return n
}

func (s *Server) reauthorize(c *conn) bool {
	life := s.lives.of(c.client.Session)
	life.Lock()
	defer life.Unlock()
	if c.finished {
		return false
	}
	lost, changes := s.revoke(c.session, c.client)
	if s.mayNotLeave(c) {
		lost = true
		c.session.mu.Lock()
		c.session.will = nil
		changes = append(changes, c.session.save()) // it has a record for the will's sake, if not for its own
		c.session.mu.Unlock()
	}
	s.commit(changes)
	if lost {
		c.stop(End{Cause: CauseKicked, Reason: packet.NotAuthorized, Text: "a subscription or the will is not allowed any more"})
	}
	return lost
}

// mayNotLeave reports whether the client has a will that is not allowed.
func (s *Server) mayNotLeave(c *conn) bool {
	c.session.mu.Lock()
	will := c.session.will
	c.session.mu.Unlock()
	a := s.cfg.Authorizer
	return will != nil && a != nil && !a.Authorize(c.client, Publish, will.Topic)
}

// revoke takes the subscriptions from a session that its user may not have any
// more. The lock of the session's identity is held.
func (s *Server) revoke(ses *session, client *Client) (lost bool, changes []Change) {
	ses.mu.Lock()
	subs := make([]*subscription, 0, len(ses.subs))
	for _, sub := range ses.subs {
		subs = append(subs, sub)
	}
	ses.mu.Unlock()
	for _, sub := range subs {
		if s.mayRead(client, sub.filter) || !ses.unsubscribe(sub.Filter) {
			continue
		}
		lost = true
		if ses.stored {
			r := &SubscriptionRecord{Filter: sub.Filter}
			changes = append(changes, Change{Kind: RemoveSubscription, Session: ses.id, Subscription: r})
		}
	}
	return lost, changes
}
