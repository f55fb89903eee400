package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// The load of the live figure.
const (
	liveDevices  = 1000
	liveRate     = 10_000 // messages per second over all devices
	devicesEach  = 100    // that one viewer watches
	liveWarmUp   = time.Second
	fleetPattern = "live-%d"
)

// live measures the time from a publish to the viewer's frame.
func (b *bench) live(ctx context.Context) error {
	s, _, err := b.server(ctx)
	if err != nil {
		return err
	}
	defer s.Kill()
	admin, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	fleet, err := connectFleet(ctx, s, admin)
	if err != nil {
		return err
	}
	defer fleet.close()
	for _, viewers := range []int{1, 100} {
		l, err := b.watch(ctx, s, admin, fleet, viewers)
		if err != nil {
			return err
		}
		b.report.atMost(fmt.Sprintf("publish → WebSocket p99, 10,000 msg/s, %d × 100 devices", viewers), l.p99, 10, "ms",
			fmt.Sprintf("p50 %s ms, max %s ms; %s rows/s sent, %d skipped", rounded(l.p50), rounded(l.max), rounded(l.rows), l.skipped))
	}
	return s.Stop(ctx)
}

// latencies are the figures of one live measurement.
type latencies struct {
	p50, p99, max, rows float64
	skipped             int
}

// watch lets viewers look on while the fleet publishes.
func (b *bench) watch(ctx context.Context, s *trefoiltest.Server, admin *trefoiltest.Client, fleet *fleet, count int) (latencies, error) {
	duration := time.Duration(b.rounds*b.seconds) * time.Second
	viewers := make([]*viewer, count)
	for i := range viewers {
		v, err := openViewer(ctx, s, admin.Token, i)
		if err != nil {
			return latencies{}, err
		}
		viewers[i] = v
	}
	from := time.Now().Add(liveWarmUp)
	until := from.Add(duration)
	var all sync.WaitGroup
	for _, v := range viewers {
		all.Go(func() { v.watch(ctx, from) })
	}
	err := fleet.publish(ctx, until)
	for _, v := range viewers {
		v.close()
	}
	all.Wait()
	if err != nil {
		return latencies{}, err
	}
	return summed(viewers, duration)
}

func summed(viewers []*viewer, duration time.Duration) (latencies, error) {
	var samples []float32
	var l latencies
	for i, v := range viewers {
		if len(v.samples) == 0 {
			return l, fmt.Errorf("viewer %d saw nothing: %w", i, v.err)
		}
		samples = append(samples, v.samples...)
		l.skipped += v.skipped
	}
	l.p50, l.p99 = float64(quantile(samples, 0.5)), float64(quantile(samples, 0.99))
	l.max = float64(quantile(samples, 1))
	l.rows = float64(len(samples)) / duration.Seconds()
	return l, nil
}

// viewer is one browser's worth of WebSocket.
type viewer struct {
	conn    *websocket.Conn
	samples []float32 // ms from publish to frame, of every row
	skipped int
	err     error
}

func openViewer(ctx context.Context, s *trefoiltest.Server, token string, number int) (*viewer, error) {
	header := http.Header{"Authorization": {"Bearer " + token}}
	c, _, err := websocket.Dial(ctx, "ws://"+s.HTTP+"/api/v1/live", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(-1)
	ids := make([]string, devicesEach)
	for i := range ids {
		ids[i] = fmt.Sprintf(fleetPattern, (number*liveDevices/devicesEach+i)%liveDevices)
	}
	subscribe, err := json.Marshal(map[string]any{"op": "subscribe", "id": "s", "devices": ids})
	if err != nil {
		return nil, err
	}
	return &viewer{conn: c}, c.Write(ctx, websocket.MessageText, subscribe)
}

// watch takes frames until the connection ends. Rows of messages that were
// sent before from do not count.
func (v *viewer) watch(ctx context.Context, from time.Time) {
	earliest := float64(from.UnixMicro()) / 1e3
	for {
		_, frame, err := v.conn.Read(ctx)
		if err != nil {
			v.err = err
			return
		}
		now := float64(time.Now().UnixMicro()) / 1e3
		if !bytes.HasPrefix(frame, []byte(`{"op":"readings"`)) {
			continue
		}
		v.skipped += int(numberAfter(frame, `"skipped":`))
		for rest := frame; ; {
			_, after, found := bytes.Cut(rest, []byte(`"t":`))
			if !found {
				break
			}
			if sent := leadingNumber(after); sent >= earliest {
				v.samples = append(v.samples, float32(now-sent))
			}
			rest = after
		}
	}
}

func numberAfter(frame []byte, key string) float64 {
	_, after, found := bytes.Cut(frame, []byte(key))
	if !found {
		return 0
	}
	return leadingNumber(after)
}

// leadingNumber reads digits with a fraction. Decoding every frame in full
// would take the processor away from the server that is measured.
func leadingNumber(b []byte) float64 {
	value, scale := 0.0, 0.0
	for _, c := range b {
		switch {
		case c == '.' && scale == 0:
			scale = 1
		case c < '0' || c > '9':
			return value / math.Max(scale, 1)
		default:
			value = value*10 + float64(c-'0')
			scale *= 10
		}
	}
	return value / math.Max(scale, 1)
}

func (v *viewer) close() { _ = v.conn.CloseNow() } // its frames have been counted

// fleet are devices that publish at a steady rate.
type fleet struct {
	conns  []*wire.Conn
	topics []string
	acks   sync.WaitGroup
}

func connectFleet(ctx context.Context, s *trefoiltest.Server, admin *trefoiltest.Client) (*fleet, error) {
	f := &fleet{}
	for i := range liveDevices {
		d, err := admin.CreateDevice(ctx, fmt.Sprintf(fleetPattern, i))
		if err != nil {
			return nil, err
		}
		c, err := wire.Connect(s.MQTT, wire.Login{Version: wire.V311, ClientID: d.ID, Username: d.ID, Password: d.Token, KeepAlive: 600})
		if err != nil {
			return nil, err
		}
		f.conns = append(f.conns, c)
		f.topics = append(f.topics, "devices/"+d.ID+"/telemetry")
		f.acks.Go(func() {
			for { // acks are taken and forgotten
				if _, err := c.Read(); err != nil {
					return
				}
			}
		})
	}
	return f, nil
}

// publish sends from one device after the other, evenly spread over time.
func (f *fleet) publish(ctx context.Context, until time.Time) error {
	const each = time.Second / liveRate
	var b []byte
	n := 0
	for due := time.Now(); due.Before(until) && ctx.Err() == nil; due = due.Add(each) {
		if ahead := time.Until(due); ahead > 0 {
			time.Sleep(ahead)
		}
		i := n % len(f.conns)
		x := float64(n/len(f.conns)) / 50
		n++
		now := time.Now().UnixMicro()
		payload := fmt.Appendf(nil, `{"ts":%d,"temperature":%.2f,"humidity":%.1f,"pressure":%.2f,"battery":%.3f}`,
			now, 21+3*math.Sin(x), 45+10*math.Cos(x), 1013+math.Sin(x/7), 3.7-x/1e5)
		b = wire.AppendPublish(b[:0], wire.Publish{Version: wire.V311, QoS: 1, ID: uint16(n%65535 + 1), Topic: f.topics[i], Payload: payload})
		if _, err := f.conns[i].Write(b); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (f *fleet) close() {
	for _, c := range f.conns {
		_ = c.Close() // nothing is expected of it any more
	}
	f.acks.Wait()
}
