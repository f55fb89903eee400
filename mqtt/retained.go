package mqtt

import (
	"strings"
	"sync"
)

// retainedTree holds the retained message of every topic that has one.
type retainedTree struct {
	mu    sync.RWMutex
	root  retainedNode
	count int
	bytes int64
	due   retainedHeap
}

type retainedNode struct {
	level    string
	parent   *retainedNode
	children map[string]*retainedNode
	message  *Message
	place    int // in the heap of those that expire, plus one; 0: not in it
}

// room reports whether m fits into the bounds; one that replaces another
// always does in number.
func (t *retainedTree) room(m *Message, l *Limits) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	bytes, count := t.bytes+int64(m.size()), t.count+1
	if old := t.find(m.Topic); old != nil && old.message != nil {
		bytes, count = bytes-int64(old.message.size()), count-1
	}
	return (l.Retained < 0 || count <= l.Retained) && (l.RetainedBytes < 0 || bytes <= l.RetainedBytes)
}

func (t *retainedTree) find(topic string) *retainedNode {
	n := &t.root
	for level := range strings.SplitSeq(topic, "/") {
		if n = n.children[level]; n == nil {
			return nil
		}
	}
	return n
}

// set stores m in place of what the topic had, or removes that when the payload
// of m is empty. [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]
func (t *retainedTree) set(m *Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(m.Payload) == 0 {
		t.removeLocked(m.Topic)
		return
	}
	n := &t.root
	for level := range strings.SplitSeq(m.Topic, "/") {
		child := n.children[level]
		if child == nil {
			if n.children == nil {
				n.children = make(map[string]*retainedNode, 1)
			}
			child = &retainedNode{level: strings.Clone(level), parent: n}
			n.children[child.level] = child
		}
		n = child
	}
	if n.message != nil {
		t.count--
		t.bytes -= int64(n.message.size())
	}
	n.message = m
	t.count++
	t.bytes += int64(m.size())
	t.schedule(n)
}

func (t *retainedTree) removeLocked(topic string) {
	n := t.find(topic)
	if n == nil || n.message == nil {
		return
	}
	t.count--
	t.bytes -= int64(n.message.size())
	n.message = nil
	t.schedule(n)
	for n.parent != nil && n.message == nil && len(n.children) == 0 {
		delete(n.parent.children, n.level)
		n = n.parent
	}
}

// match gives the messages whose topics match filter, in no order.
func (t *retainedTree) match(filter string) []*Message {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if !strings.ContainsAny(filter, "+#") {
		if n := t.find(filter); n != nil && n.message != nil {
			return []*Message{n.message}
		}
		return nil
	}
	var found []*Message
	t.root.match(filter, true, func(m *Message) { found = append(found, m) })
	return found
}

func (n *retainedNode) match(filter string, first bool, visit func(*Message)) {
	level, rest, more := strings.Cut(filter, "/")
	switch level {
	case "#":
		n.all(first, visit)
	case "+":
		for name, c := range n.children {
			if first && strings.HasPrefix(name, "$") { // [MQTT-4.7.2-1]
				continue
			}
			c.step(rest, more, visit)
		}
	default:
		if c := n.children[level]; c != nil {
			c.step(rest, more, visit)
		}
	}
}

func (n *retainedNode) step(rest string, more bool, visit func(*Message)) {
	switch {
	case more && rest == "#": // a/# matches a too
		n.all(false, visit)
	case more:
		n.match(rest, false, visit)
	case n.message != nil:
		visit(n.message)
	}
}

func (n *retainedNode) all(first bool, visit func(*Message)) {
	if n.message != nil {
		visit(n.message)
	}
	for name, c := range n.children {
		if first && strings.HasPrefix(name, "$") {
			continue
		}
		c.all(false, visit)
	}
}

// usage gives number and bytes.
func (t *retainedTree) usage() (count int, bytes int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count, t.bytes
}
