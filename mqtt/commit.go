package mqtt

// commit makes changes durable without anybody waiting: what is lost with
// them in a crash only leads to a message being sent once more.
func (s *Server) commit(changes []Change) {
	if len(changes) > 0 {
		s.store.Commit(changes, s.committed)
	}
}

func (s *Server) committed(err error) {
	if err != nil {
		s.storeFailed(err)
	}
}

// commitWait makes changes durable and gives the result.
func (s *Server) commitWait(changes []Change) <-chan error {
	result := make(chan error, 1)
	if len(changes) == 0 {
		result <- nil
		return result
	}
	s.store.Commit(changes, func(err error) {
		s.committed(err)
		result <- err
	})
	return result
}

// commitMark tells the store that messages up to seq are sent, which they are
// when it knows. seq 0 is none.
func (s *Server) commitMark(ses *session, seq uint64) {
	if seq == 0 {
		return
	}
	s.store.Commit([]Change{{Kind: MarkSent, Session: ses.id, Seq: seq}}, func(err error) {
		s.committed(err)
		ses.marked(seq, err == nil)
	})
}

// commitReserved stores places that were made in a queue, and lets them go on.
func (s *Server) commitReserved(ses *session, changes []Change) {
	if len(changes) == 0 {
		return
	}
	s.store.Commit(changes, func(err error) {
		s.committed(err)
		for i := range changes {
			ses.settle(changes[i].Seq, err == nil)
			if m := changes[i].Queued.Message; err != nil {
				s.drop(Drop{Session: ses.id, Reason: DropLost, Topic: m.Topic, QoS: changes[i].Queued.QoS})
			}
		}
	})
}

// enqueueLater gives a message to a stored session that subscribed between
// the message's arrival and its commit.
func (s *Server) enqueueLater(ses *session, m *Message, d delivery) {
	if change, ok := ses.reserve(m, d); ok {
		s.commitReserved(ses, []Change{change})
	}
}

func (s *Server) storeFailed(err error) {
	s.count.storeErrors.Add(1)
	s.log.Error("mqtt: session store", "error", err)
}
