package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/live"
)

// fleet makes n devices.
func fleet(n int) (*world, []trefoil.DeviceID) {
	ids := make([]trefoil.DeviceID, n)
	for i := range ids {
		ids[i] = trefoil.DeviceID(fmt.Sprintf("device-%05d", i))
	}
	return newWorld(ids...), ids
}

func strings100(ids []trefoil.DeviceID, viewer int) []string {
	names := make([]string, 100)
	for i := range names {
		names[i] = string(ids[(viewer*100+i)%len(ids)])
	}
	return names
}

// BenchmarkCommitted tells the cost of a message in the commit loop: 100
// messages with four metrics in a commit, 10,000 devices.
func BenchmarkCommitted(b *testing.B) {
	for _, x := range []struct {
		name    string
		viewers int
		all     bool
	}{{"0 viewers", 0, false}, {"1 viewer of 100", 1, false}, {"100 viewers of 100", 100, false}, {"1 viewer of all", 1, true}, {"100 viewers of all", 100, true}} {
		b.Run(x.name, func(b *testing.B) {
			w, ids := fleet(10_000)
			h := live.New(live.Deps{Store: w, Devices: w})
			ctx, cancel := context.WithCancel(b.Context())
			var drains sync.WaitGroup
			for i := range x.viewers {
				v := open(b, h)
				devices := []string{"*"}
				if !x.all {
					devices = strings100(ids, i)
				}
				subscribe(b, v, live.Request{ID: "s", Devices: devices})
				next(b, v, "hello")
				next(b, v, "snapshot")
				drains.Go(func() {
					for {
						if _, err := v.Next(ctx); err != nil {
							return
						}
					}
				})
			}
			batch := make([]*trefoil.Message, 100)
			b.ReportAllocs()
			b.ResetTimer()
			seq := w.Seq()
			for n := 0; n < b.N; n += len(batch) {
				for i := range batch {
					batch[i] = message(ids[(n+i)*7919%len(ids)], int64(n), "temperature", 21.5, "humidity", 45, "on", true, "state", "open")
				}
				seq++
				h.Committed(seq, 0, batch)
			}
			b.StopTimer()
			cancel()
			drains.Wait()
			s := h.Stats()
			b.ReportMetric(float64(s.Frames)/b.Elapsed().Seconds(), "frames/s")
			b.ReportMetric(float64(s.Skipped), "skipped")
		})
	}
}

// BenchmarkPublishToBrowser tells the time from Committed to the other end of
// a WebSocket at 10,000 messages/s in 1,000 commits/s, with 100 viewers; both
// ends are in this process.
func BenchmarkPublishToBrowser(b *testing.B) {
	for _, all := range []bool{false, true} {
		b.Run(map[bool]string{false: "100 of 10000 devices each", true: "all 10000 devices each"}[all], func(b *testing.B) {
			w, ids := fleet(10_000)
			h := live.New(live.Deps{Store: w, Devices: w})
			server := httptest.NewServer(h.WebSocket(gate{}))
			defer server.Close()
			latency := &latencies{}
			var readers sync.WaitGroup
			for i := range 100 {
				devices := []string{"*"}
				if !all {
					devices = strings100(ids, i)
				}
				readers.Go(latency.reader(b, server.URL, devices))
			}
			tick := time.NewTicker(time.Millisecond)
			for h.Stats().Frames < 100 { // every viewer has its snapshot
				<-tick.C
			}
			b.ResetTimer()
			for n := range max(b.N, 5000) {
				<-tick.C
				now := trefoil.InstantOf(time.Now())
				batch := make([]*trefoil.Message, 10)
				for i := range batch {
					batch[i] = message(ids[(n*10+i)*7919%len(ids)], int64(n), "temperature", 21.5, "humidity", 45, "on", true, "state", "open")
					batch[i].Received = now
				}
				w.mu.Lock()
				w.seq++
				seq := w.seq
				w.mu.Unlock()
				h.Committed(seq, now, batch)
			}
			b.StopTimer()
			tick.Stop()
			s := h.Stats()
			_ = h.Close(context.Background())
			readers.Wait()
			latency.report(b, s)
		})
	}
}

type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

// reader counts, per frame, the age of its oldest row. It does not decode the
// whole frame: that would measure the decoder of 100 browsers on this machine.
func (l *latencies) reader(b *testing.B, url string, devices []string) func() {
	return func() {
		conn, _, err := websocket.Dial(b.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer good"}}})
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(-1)
		quoted := fmt.Sprintf("%q", devices)
		order := `{"op":"subscribe","id":"s","devices":` + commas(quoted) + `}`
		if err := conn.Write(b.Context(), websocket.MessageText, []byte(order)); err != nil {
			b.Error(err)
			return
		}
		var mine []time.Duration
		for {
			_, data, err := conn.Read(b.Context())
			if err != nil {
				break
			}
			if received, ok := receivedOf(data); ok {
				mine = append(mine, time.Since(received))
			}
		}
		l.mu.Lock()
		l.all = append(l.all, mine...)
		l.mu.Unlock()
	}
}

func (l *latencies) report(b *testing.B, s live.Stats) {
	slices.Sort(l.all)
	if len(l.all) == 0 {
		b.Fatal("no frame arrived")
	}
	at := func(p float64) float64 { return l.all[int(p*float64(len(l.all)-1))].Seconds() * 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
	b.ReportMetric(float64(s.Frames)/b.Elapsed().Seconds(), "frames/s")
	b.ReportMetric(float64(s.Skipped), "skipped")
	b.ReportMetric(0, "ns/op")
}

// commas makes a JSON list of what %q prints of a slice.
func commas(s string) string {
	b := []byte(s)
	for i := 1; i < len(b)-1; i++ {
		if b[i] == ' ' {
			b[i] = ','
		}
	}
	return string(b)
}

func receivedOf(data []byte) (time.Time, bool) {
	var head struct{ Received float64 }
	i := slices.Index(data, '[')
	if i < 0 {
		return time.Time{}, false
	}
	if json.Unmarshal(append(slices.Clone(data[:i]), "[]}"...), &head) != nil || head.Received == 0 {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(head.Received * 1000)), true
}

// BenchmarkSnapshot tells how long the first picture of 10,000 devices with
// four metrics takes.
func BenchmarkSnapshot(b *testing.B) {
	w, ids := fleet(10_000)
	h := live.New(live.Deps{Store: w, Devices: w})
	for _, id := range ids {
		w.commit(h, message(id, 1000, "temperature", 21.5, "humidity", 45, "on", true, "state", "open"))
	}
	for b.Loop() {
		v := open(b, h)
		if err := v.Subscribe(live.Request{ID: "s", Devices: []string{"*"}}); err != nil {
			b.Fatal(err)
		}
		for op := ""; op != "snapshot"; {
			f, err := v.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			op = f.Op
			b.SetBytes(int64(len(f.Data)))
		}
		v.Close()
	}
}
