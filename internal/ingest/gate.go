package ingest

import "sync"

// gate lets a caller take a write back while no commit has it on its way.
type gate struct {
	mu        sync.Mutex
	left      chan struct{} // while a commit has the write: closed when that failed
	abandoned bool
}

// enter is called by the commit loop before it applies the write. It reports
// false when the caller has taken it back.
func (g *gate) enter() bool {
	if g == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.abandoned && g.left == nil {
		g.left = make(chan struct{})
	}
	return !g.abandoned
}

// leave is called by the commit loop when a commit has failed.
func (g *gate) leave() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left != nil {
		close(g.left)
		g.left = nil
	}
}

// abandon takes the write back. When a commit has it on its way, it returns a
// channel that is closed if that commit fails.
func (g *gate) abandon() (left <-chan struct{}, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left != nil {
		return g.left, false
	}
	g.abandoned = true
	return nil, true
}
