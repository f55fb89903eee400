package registry

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// filled is a registry with n devices in memory and nothing stored.
func filled(n int) (r *Registry, tokens []string) {
	r = &Registry{
		now: time.Now, log: slog.New(slog.DiscardHandler),
		devices: make(map[trefoil.DeviceID]*entry), owners: make(map[tokenHash]trefoil.DeviceID),
		presence: newPresenceQueue(),
	}
	for i := range n {
		id := trefoil.DeviceID(fmt.Sprintf("device-%06d", i))
		token, row := newToken(id, 1)
		r.applyNew(trefoil.Device{ID: id, Name: "Device " + string(id), Tags: trefoil.Tags{"site": fmt.Sprint(i % 50)}}, row)
		tokens = append(tokens, token)
	}
	return r, tokens
}

func BenchmarkAuthenticateOneOf100000(b *testing.B) {
	r, tokens := filled(100_000)
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(tokens)
		if _, err := r.Authenticate(b.Context(), r.sorted[i], tokens[i]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSearch100000(b *testing.B) {
	r, _ := filled(100_000)
	for b.Loop() {
		if p := r.List(Query{Text: "device 099", Tags: []string{"site:7"}}); p.Total != 0 {
			b.Fatalf("got %d devices, want 0", p.Total)
		}
	}
}

func BenchmarkPageOf100000(b *testing.B) {
	r, _ := filled(100_000)
	for b.Loop() {
		if p := r.List(Query{Limit: 50}); p.Total != 100_000 {
			b.Fatalf("got %d devices, want all", p.Total)
		}
	}
}
