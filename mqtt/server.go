package mqtt

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Server is an MQTT server. It is made by [New].
type Server struct {
	cfg    Config
	limits Limits
	store  Store
	log    *slog.Logger
	now    func() time.Time

	sched     *scheduler
	subs      trie
	retained  retainedTree
	addresses addresses
	lives     lives
	dates     dates
	count     counters
	speaks    speech
	self      conn       // a connection without a socket, for the server's own messages
	ownMu     sync.Mutex // keeps the order of own messages
	started   time.Time

	sysAt      time.Time // of watchSessions
	sysVersion uint64

	ctx    context.Context // ends when the server is closed
	cancel context.CancelFunc
	work   sync.WaitGroup // readers, writers, loads, a janitor

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	sessions  map[SessionID]*session
	accepts   *bucket
	opened    int
	quiet     chan struct{} // closed when no connection is left; made by Shutdown
}

// New makes a server and loads what its store holds. The error is that of the
// store.
func New(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, limits: cfg.Limits.withDefaults(), store: cfg.Store, log: cfg.Logger, now: cfg.Now}
	if s.store == nil {
		s.store = NewMemoryStore()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.listeners = map[net.Listener]struct{}{}
	s.conns = map[*conn]struct{}{}
	s.sessions = map[SessionID]*session{}
	s.addresses.m = map[string]*addressState{}
	s.lives.seed = maphash.MakeSeed()
	s.accepts = newBucket(s.limits.AcceptRate, time.Now())
	s.started = time.Now()
	s.self.srv, s.self.closed = s, true
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.sched = newScheduler(runtime.GOMAXPROCS(0))
	s.work.Go(s.watchConnections)
	s.work.Go(s.watchSessions)
	return s, nil
}

// load takes over what the store holds. Sessions that were connected when the
// process ended lost their connections now.
func (s *Server) load(ctx context.Context) error {
	now := s.now()
	return s.store.Load(ctx, Visitor{
		Retained: func(m *Message) error {
			s.retained.set(m)
			return nil
		},
		Session: func(stored StoredSession) error {
			s.restore(&stored, now)
			return nil
		},
	})
}

func (s *Server) restore(from *StoredSession, now time.Time) {
	r := &from.Record
	ses := &session{
		id: from.ID, srv: s, stored: true, created: r.Created, expiry: r.Expiry, ends: r.Ends, nextSeq: max(1, r.NextSeq),
		user: User{Name: from.ID.User, Service: r.Service}, will: r.Will, delay: r.WillDelay, willAt: r.WillAt,
	}
	if ses.ends.IsZero() && ses.expiry != Forever {
		ses.ends = now.Add(ses.expiry)
	}
	if ses.will != nil && ses.willAt.IsZero() {
		ses.willAt = now.Add(ses.delay)
	}
	for _, q := range from.Queue {
		e := entry{seq: q.Seq, size: int32(q.Size), state: entryReady, sent: q.Sent, marked: q.Sent}
		if q.Released {
			e.state, e.qos = entryReleased, 2
		}
		ses.queue.add(e)
		ses.nextSeq = max(ses.nextSeq, q.Seq+1)
	}
	ses.recorded = true
	for _, id := range from.Received {
		ses.receive(id)
	}
	s.sessions[ses.id] = ses
	for _, sub := range from.Subscriptions {
		ses.subscribe(sub)
	}
	s.dates.set(ses.due(), ses)
}

// errStopped is what [Server.Serve] gives after Shutdown.
var errStopped = errors.New("mqtt: server was stopped")

// Serve accepts connections, ordered streams of bytes [MQTT-4.2-1], from l until l is closed or Shutdown is called;
// then it returns nil, closing l. TLS connections, by a listener of crypto/tls,
// are recognised. Several listeners may be served at once.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return errStopped
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
		_ = l.Close()
	}()
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.start(nc)
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // out of file descriptors, or the client was gone again
			s.log.Error("mqtt: cannot accept", "error", err)
			waitFor(s.ctx, acceptPause)
			if s.ctx.Err() != nil {
				return nil
			}
		}
	}
}

// acceptPause is how long to wait after a failed accept.
const acceptPause = 50 * time.Millisecond

// start runs the reader of a new connection in a goroutine of its own. CONNECT
// needs a deep stack, which would stay with a connection that is idle from
// then on; so that the reader goes on in a fresh one.
func (s *Server) start(nc net.Conn) {
	c := s.admit(nc)
	if c == nil {
		return
	}
	go func() {
		if err := c.readOnce(); err != nil {
			c.readFailed(err)
			s.end(c)
			return
		}
		go s.run(c)
	}()
}

// ServeConn serves one connection that somebody else accepted, such as a
// WebSocket, and returns when it has ended. It closes the connection.
func (s *Server) ServeConn(nc net.Conn) {
	if c := s.admit(nc); c != nil {
		s.run(c)
	}
}

// admit counts a connection in, or closes it.
func (s *Server) admit(nc net.Conn) *conn {
	c := s.newConn(nc)
	s.count.accepted.Add(1)
	if !s.addresses.enter(c.address, s.limits.ConnectionsPerAddress) {
		s.refused(Refused{RemoteAddr: nc.RemoteAddr(), Reason: packet.QuotaExceeded, Text: "too many connections from this address"})
		_ = nc.Close()
		return nil
	}
	s.mu.Lock()
	// Some more than allowed get in, to be told why they are refused.
	if s.stopping || over(len(s.conns), s.limits.Connections+refusalRoom) && s.limits.Connections >= 0 {
		s.mu.Unlock()
		s.addresses.leave(c.address)
		_ = nc.Close()
		return nil
	}
	switch {
	case s.limits.Connections >= 0 && len(s.conns) >= s.limits.Connections:
		c.overload = packet.QuotaExceeded
	case !s.accepts.take(1, time.Now()):
		c.overload = packet.ConnectionRateExceeded
	}
	s.conns[c] = struct{}{}
	s.work.Add(1)
	s.mu.Unlock()
	return c
}

// refusalRoom is how many connections above the limit get a CONNACK.
const refusalRoom = 1000

func (s *Server) run(c *conn) {
	c.read()
	s.end(c)
}

// end waits for what is left of a connection whose reader has ended.
func (s *Server) end(c *conn) {
	defer s.work.Done()
	s.finish(c)
	c.waitClosed()
	s.removeConn(c)
}

// waitClosed waits until nothing that c received is at the handler and its
// socket is closed.
func (c *conn) waitClosed() {
	if drained := c.drain(); drained != nil {
		select {
		case <-drained:
		case <-c.srv.ctx.Done():
		}
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	gone := make(chan struct{})
	c.gone = gone
	c.mu.Unlock()
	<-gone
}

func (s *Server) removeConn(c *conn) {
	s.mu.Lock()
	_, known := s.conns[c]
	delete(s.conns, c)
	if known && len(s.conns) == 0 && s.quiet != nil {
		close(s.quiet)
		s.quiet = nil
	}
	s.mu.Unlock()
	if known {
		s.addresses.leave(c.address)
	}
}

func (s *Server) session(id SessionID) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

func (s *Server) addSession(ses *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if over(len(s.sessions)+1, s.limits.Sessions) {
		return false
	}
	s.sessions[ses.id] = ses
	return true
}

func (s *Server) removeSession(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[ses.id] == ses {
		delete(s.sessions, ses.id)
	}
}
