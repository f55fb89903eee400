package mqtt

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// subscription is one filter of one session. Its options never change: a
// SUBSCRIBE with the same filter puts a new one in its place.
type subscription struct {
	SubscriptionRecord
	session *session
	filter  string // without $share/group/
	group   string // "" when not shared
	ids     []uint32

	node *node
	pos  int
}

// node is one level of the filters below it. Nodes without content are
// removed.
type node struct {
	level    string
	parent   *node
	children map[string]*node
	subs     []*subscription
	groups   []*group
}

// group is the members of a shared subscription with one filter.
type group struct {
	name    string
	members []*subscription
	next    atomic.Uint32 // whose turn it is
}

// trie finds the subscriptions that match a topic. A publish without
// subscribers costs its reader one atomic load, see [trie.version].
type trie struct {
	// version changes with every subscription, so that a publisher may
	// remember that nobody listens to its topic.
	version atomic.Uint64

	// durable counts subscriptions of stored sessions above QoS 0, and shared
	// ones: those that must be known before a message is handled.
	durable atomic.Int64
	shared  atomic.Int64
	count   atomic.Int64

	sys        atomic.Int64 // subscriptions to $SYS
	sysVersion atomic.Uint64

	mu   sync.RWMutex
	root node
}

// add puts s in its place and takes old, if there is one, out.
func (t *trie) add(s, old *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old != nil {
		t.removeLocked(old)
	}
	n := &t.root
	for level := range strings.SplitSeq(s.filter, "/") {
		child := n.children[level]
		if child == nil {
			if n.children == nil {
				n.children = make(map[string]*node, 1)
			}
			child = &node{level: level, parent: n}
			n.children[level] = child
		}
		n = child
	}
	s.node = n
	n.insert(s)
	t.tally(s, 1)
	t.version.Add(1)
}

// remove takes s out.
func (t *trie) remove(s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(s)
	t.version.Add(1)
}

func (t *trie) removeLocked(s *subscription) {
	n := s.node
	n.take(s)
	t.tally(s, -1)
	for n.parent != nil && len(n.children) == 0 && len(n.subs) == 0 && len(n.groups) == 0 {
		delete(n.parent.children, n.level)
		n = n.parent
	}
}

// isDurable reports whether s makes messages wait for the store or for a
// choice, see [trie.durable].
func (s *subscription) isDurable() bool {
	return s.group != "" || s.QoS > 0 && s.session.stored
}

func (t *trie) tally(s *subscription, by int64) {
	t.count.Add(by)
	if s.isDurable() {
		t.durable.Add(by)
	}
	if s.group != "" {
		t.shared.Add(by)
	}
	if strings.HasPrefix(s.filter, "$SYS") {
		t.sys.Add(by)
		t.sysVersion.Add(1)
	}
}

func (n *node) insert(s *subscription) {
	if s.group == "" {
		s.pos = len(n.subs)
		n.subs = append(n.subs, s)
		return
	}
	i := slices.IndexFunc(n.groups, func(g *group) bool { return g.name == s.group })
	if i < 0 {
		i = len(n.groups)
		n.groups = append(n.groups, &group{name: s.group})
	}
	g := n.groups[i]
	s.pos = len(g.members)
	g.members = append(g.members, s)
}

func (n *node) take(s *subscription) {
	if s.group == "" {
		n.subs = takeAt(n.subs, s.pos)
		return
	}
	i := slices.IndexFunc(n.groups, func(g *group) bool { return g.name == s.group })
	g := n.groups[i]
	if g.members = takeAt(g.members, s.pos); len(g.members) == 0 {
		n.groups = slices.Delete(n.groups, i, i+1)
	}
}

// takeAt removes the subscription at i by moving the last one there.
func takeAt(subs []*subscription, i int) []*subscription {
	last := len(subs) - 1
	subs[i] = subs[last]
	subs[i].pos = i
	subs[last] = nil
	return subs[:last]
}

// matches is what a topic found. It is used again.
type matches struct {
	subs   []*subscription
	shared []*subscription // the chosen member of each group
	nodes  int             // that had subs
}

func (m *matches) reset() {
	clear(m.subs)
	clear(m.shared)
	m.subs, m.shared, m.nodes = m.subs[:0], m.shared[:0], 0
}

// match collects what matches topic. With choose, it takes a member of every
// shared group too.
func (t *trie) match(topic string, choose bool, m *matches) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	t.root.match(topic, true, choose, m)
}

// match walks down. Depth is bounded by the limit of levels; at every level
// there are at most three ways to go.
func (n *node) match(rest string, first, choose bool, m *matches) {
	level, rest, more := strings.Cut(rest, "/")
	if n.children == nil {
		return
	}
	// Wildcards at the beginning do not match topics that begin with $.
	// [MQTT-4.7.2-1]
	wild := !first || !strings.HasPrefix(level, "$")
	if wild {
		if c := n.children["#"]; c != nil {
			c.collect(choose, m)
		}
	}
	if c := n.children[level]; c != nil {
		c.descend(rest, more, choose, m)
	}
	if c := n.children["+"]; c != nil && wild {
		c.descend(rest, more, choose, m)
	}
}

func (n *node) descend(rest string, more, choose bool, m *matches) {
	if more {
		n.match(rest, false, choose, m)
		return
	}
	n.collect(choose, m)
	if c := n.children["#"]; c != nil { // a/# matches a too, section 4.7.1.2
		c.collect(choose, m)
	}
}

func (n *node) collect(choose bool, m *matches) {
	if len(n.subs) > 0 {
		m.subs = append(m.subs, n.subs...)
		m.nodes++
	}
	if !choose {
		return
	}
	for _, g := range n.groups {
		m.shared = append(m.shared, g.choose())
	}
}

// choose takes the next member that is connected, or else the next stored
// one: a message that nobody can take now waits in one queue. It has the QoS of
// that member and stays its own, whatever becomes of it. [MQTT-4.8.2-3]
// [MQTT-4.8.2-4] [MQTT-4.8.2-5]
func (g *group) choose() *subscription {
	start := int(g.next.Add(1) % uint32(len(g.members)))
	for i := range g.members {
		s := g.members[(start+i)%len(g.members)]
		if s.session.online.Load() {
			return s
		}
	}
	return g.members[start]
}
