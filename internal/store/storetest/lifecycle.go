package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

func lifecycleTests() []test {
	return []test{
		{"what was committed is there after closing and after a crash", reopened},
		{"a crash inside a transaction leaves nothing of it", crashInside},
		{"stats count what is stored", statsCount},
	}
}

func reopened(h *harness) {
	var want []store.Sample
	for i := range 30 {
		x := num(noon+trefoil.Instant(i)*10*60*second, float64(i))
		want = append(want, x)
		h.commit(message("dev", "m", x))
		switch i % 5 {
		case 2:
			h.crash()
		case 4:
			h.reopen()
		}
		h.want("all", h.all("dev", "m"), want)
	}
}

func crashInside(h *harness) {
	h.commit(message("dev", "m", num(noon, 1)))
	seq := h.s.Seq()
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon, 2)), message("dev", "n", num(noon, 2)))
	h.setToken(tx, "inside")
	h.crash()
	h.want("readings", h.all("dev", "m"), []store.Sample{num(noon, 1)})
	h.want("metrics", h.metrics("dev"), 1)
	h.want("rows", h.tokens(), 0)
	h.want("seq", h.s.Seq(), seq)
	h.commit(message("dev", "n", num(noon, 3)))
	h.want("the same series later", h.all("dev", "n"), []store.Sample{num(noon, 3)})
}

func statsCount(h *harness) {
	h.ramp("dev", "a", noon, 30*second, 500)
	h.ramp("dev", "b", noon, second, 10)
	for range 2 {
		got, err := h.s.Stats(context.Background())
		h.want("error of stats", err, nil)
		h.want("series", got.Series, int64(2))
		h.want("readings", got.Readings, int64(510))
		if got.Bytes <= 0 || got.Engine == "" {
			h.t.Errorf("stats: got %d bytes and engine %q, want both", got.Bytes, got.Engine)
		}
		h.crash()
	}
}

func visitTests() []test {
	return []test{
		{"a visit sees one state while others write", visitStable},
		{"readers and the writer run at the same time", concurrent},
		{"a cancelled reader stops", readerStops},
	}
}

func visitStable(h *harness) {
	want := h.ramp("dev", "m", noon, 10*second, 2500)
	r := store.ReadRequest{Device: "dev", Metric: "m", From: noon - hour, To: noon + 100*hour}
	var got []store.Sample
	i := 0
	err := h.s.Read(context.Background(), r, func(b store.Block) error {
		got = append(got, b.Samples...)
		i++
		late := want[len(want)-i].Time + 1
		h.commit(
			message("dev", "m", num(want[len(want)-i].Time, -1), num(late, -2), num(noon+50*hour+trefoil.Instant(i), -3)),
			message("dev", "new", num(noon+trefoil.Instant(i)*second, 1)))
		return nil
	})
	h.want("error", err, nil)
	h.want("what was there at the beginning", got, want)
	h.want("readings afterwards", len(h.all("dev", "m")), len(want)+2*i)
}

func concurrent(h *harness) {
	const rounds = 60
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			last := 0
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				n, err := h.countPairs()
				if err != nil {
					h.t.Errorf("read: %v", err)
					return
				}
				if n < last || n%2 != 0 {
					h.t.Errorf("a reader saw %d readings after %d, want an even number that does not fall", n, last)
				}
				last = n
			}
		})
	}
	for i := range rounds {
		at := noon + trefoil.Instant(i)*17*60*second
		h.commit(message("dev", "m", num(at, 1)), message("dev", "m", num(at-5*hour, 2)))
	}
	close(done)
	wg.Wait()
	h.want("readings", len(h.all("dev", "m")), 2*rounds)
}

// countPairs counts the readings of a series that every commit makes longer
// by two.
func (h *harness) countPairs() (int, error) {
	n := 0
	r := store.ReadRequest{Device: "dev", Metric: "m", From: noon - 100*hour, To: noon + 100*hour}
	err := h.s.Read(context.Background(), r, func(b store.Block) error {
		n += len(b.Samples)
		return nil
	})
	return n, err
}

func readerStops(h *harness) {
	h.ramp("dev", "m", noon, 10*second, 5000)
	ctx, cancel := context.WithCancel(context.Background())
	r := store.ReadRequest{Device: "dev", Metric: "m", From: noon - hour, To: noon + 100*hour}
	blocks := 0
	err := h.s.Read(ctx, r, func(store.Block) error {
		blocks++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || blocks != 1 {
		h.t.Errorf("a reader cancelled in its first block: got %d blocks and error %v, want 1 and %v", blocks, err, context.Canceled)
	}
	if _, err := h.s.Latest(ctx, "dev"); !errors.Is(err, context.Canceled) {
		h.t.Errorf("latest with a cancelled context: got error %v, want %v", err, context.Canceled)
	}
}
