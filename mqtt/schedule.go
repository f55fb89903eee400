package mqtt

import (
	"sync"
	"sync/atomic"
)

// A connection is served by one goroutine at a time: acks are released,
// messages of the session are encoded, and bytes go to the socket. That may
// be a worker, or the connection's own reader at the end of what it read.
// Waking a connection is a flag and, if nobody serves it, a place in the
// queue of the workers, so that a commit loop can wake many at little cost.
const (
	idle    int32 = iota
	queued        // in the queue of the workers
	running       // somebody serves it
	again         // somebody serves it and must look once more
)

// scheduler is the queue of connections that have something to do. Its length
// is bounded by the number of connections, since each is in it once at most.
type scheduler struct {
	mu      sync.Mutex
	cond    *sync.Cond
	ready   []*conn
	waiting int
	closed  bool
	workers sync.WaitGroup
}

func newScheduler(workers int) *scheduler {
	q := &scheduler{}
	q.cond = sync.NewCond(&q.mu)
	for range workers {
		q.workers.Go(q.work)
	}
	return q
}

// wake makes sure that c is served after this call.
func (c *conn) wake() {
	for {
		switch state := c.state.Load(); state {
		case idle:
			if c.state.CompareAndSwap(idle, queued) {
				c.srv.sched.push(c)
				return
			}
		case running:
			if c.state.CompareAndSwap(running, again) {
				return
			}
		default:
			return
		}
	}
}

// serveNow serves c in the calling goroutine, unless somebody does already.
func (c *conn) serveNow() {
	if c.state.CompareAndSwap(idle, running) {
		c.run()
		return
	}
	c.wake()
}

// run serves c, which is running. When it was woken meanwhile it goes to the
// end of the queue, so that one busy connection does not hold a worker.
func (c *conn) run() {
	c.serveSafely()
	if !c.state.CompareAndSwap(running, idle) {
		c.state.Store(queued)
		c.srv.sched.push(c)
	}
}

func (q *scheduler) push(c *conn) {
	q.mu.Lock()
	q.ready = append(q.ready, c)
	signal := q.waiting > 0
	q.mu.Unlock()
	if signal {
		q.cond.Signal()
	}
}

// grab is how many connections a worker takes at once.
const grab = 16

func (q *scheduler) work() {
	var batch [grab]*conn
	for {
		n := q.take(&batch)
		if n == 0 {
			return
		}
		for i, c := range batch[:n] {
			batch[i] = nil
			c.state.Store(running)
			c.run()
		}
	}
}

// take waits for connections and moves some of them to batch; 0 means that
// the scheduler is closed.
func (q *scheduler) take(batch *[grab]*conn) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 {
		if q.closed {
			return 0
		}
		q.waiting++
		q.cond.Wait()
		q.waiting--
	}
	n := copy(batch[:], q.ready[:min(grab, (len(q.ready)+1)/2)])
	rest := copy(q.ready, q.ready[n:])
	clear(q.ready[rest:])
	q.ready = q.ready[:rest]
	return n
}

// close ends the workers when the queue is empty.
func (q *scheduler) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.cond.Broadcast()
	q.workers.Wait()
}

// schedState is the state of a connection towards the scheduler, one of the
// above.
type schedState = atomic.Int32
