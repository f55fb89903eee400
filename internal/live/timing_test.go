package live_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/live"
)

func TestMaxRateMakesFramesRarerAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		h := live.New(live.Deps{Store: w, Devices: w})
		v := open(t, h)
		subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}, MaxRate: 2})
		next(t, v, "hello")
		next(t, v, "snapshot")
		go func() {
			for i := range 100 { // 10 s
				time.Sleep(100 * time.Millisecond)
				w.commit(h, message("a", int64(i), "x", i))
			}
		}()
		frames, rows, start := 0, 0, time.Now()
		for rows < 100 {
			f := next(t, v, "readings")
			frames, rows = frames+1, rows+len(f.Rows)
		}
		if took := time.Since(start); frames > 21 || took > 11*time.Second {
			t.Errorf("100 readings of 10 s came in %d frames within %v, want at most 21 within 11 s", frames, took)
		}
		v.Close()
	})
}

func TestAnExpiredCredentialEndsTheViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a")
		h := live.New(live.Deps{Store: w, Devices: w})
		start := time.Now()
		v, err := h.Open(live.Identity{User: "ada", Until: start.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		next(t, v, "hello")
		_, err = v.Next(t.Context())
		if err != live.ErrExpired || time.Since(start) != time.Hour {
			t.Errorf("ended with %v after %v, want ErrExpired after an hour", err, time.Since(start))
		}
		v.Close()
	})
}

func TestAResumedViewerGetsWhatItMissedAndElseAReset(t *testing.T) {
	w := newWorld("a")
	h := live.New(live.Deps{Store: w, Devices: w})
	v := open(t, h)
	next(t, v, "hello")
	subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}})
	next(t, v, "snapshot")
	w.commit(h, message("a", 1000, "x", 1))
	seen := next(t, v, "readings").Seq
	v.Close()
	w.commit(h, message("a", 2000, "x", 2))
	w.commit(h, message("a", 3000, "x", 3))

	v = open(t, h)
	next(t, v, "hello")
	subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}, Since: &seen})
	if f := next(t, v, "readings"); len(f.Rows) != 2 || f.Seq != seen+2 {
		t.Errorf("resumed with %d rows at seq %d, want 2 at %d", len(f.Rows), f.Seq, seen+2)
	}
	ahead := trefoil.Seq(1000) // from a database that was replaced since
	subscribe(t, v, live.Request{ID: "ahead", Devices: []string{"a"}, Since: &ahead})
	next(t, v, "reset")
	if f := next(t, v, "snapshot"); len(f.Rows) != 1 || f.Rows[0].T != 3000 {
		t.Errorf("snapshot after the reset is %+v, want the row of 3000", f.Rows)
	}
}

func TestTheRingStaysWithinItsLimitWhateverAViewerDoes(t *testing.T) {
	w := newWorld("a")
	h := live.New(live.Deps{Store: w, Devices: w, Limits: live.Limits{Ring: 10_000, Queue: 2000}})
	v := open(t, h) // and never reads
	next(t, v, "hello")
	subscribe(t, v, live.Request{ID: "s", Devices: []string{"a"}})
	next(t, v, "snapshot")
	for i := range 1000 {
		w.commit(h, message("a", int64(i), "x", i))
		if got := h.Stats().RingBytes; got > 10_000 {
			t.Fatalf("ring has %d bytes after %d commits, want at most 10000", got, i+1)
		}
	}
	next(t, v, "reset")
	if f := next(t, v, "snapshot"); f.Skipped != 1000 || f.Rows[0].Values["x"] != 999.0 {
		t.Errorf("snapshot skipped %d and has %+v, want 1000 and x=999", f.Skipped, f.Rows)
	}
}

func TestEventsCarryTheSameFramesWithTheCommitAsID(t *testing.T) {
	w := newWorld("a")
	h, url := serve(t, w)
	w.commit(h, message("a", 1000, "x", 1))
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/live/events?device=a", nil)
	request.Header.Set("Authorization", "Bearer good")
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q, want text/event-stream", got)
	}
	lines := bufio.NewScanner(answer.Body)
	event := func(name string) (id, data string) {
		t.Helper()
		current := ""
		for lines.Scan() {
			kind, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case kind == "event":
				current = value
			case kind == "id":
				id = value
			case kind == "data":
				data = value
			case kind == "" && current == name:
				return id, data
			}
		}
		t.Fatalf("no event %q: %v", name, lines.Err())
		return "", ""
	}
	if id, data := event("snapshot"); id != "1" || !strings.Contains(data, `"x":1`) {
		t.Errorf("snapshot has id %q and %s, want 1 and x=1", id, data)
	}
	w.commit(h, message("a", 2000, "x", 2))
	if id, data := event("readings"); id != "2" || !strings.Contains(data, `"x":2`) {
		t.Errorf("readings have id %q and %s, want 2 and x=2", id, data)
	}
}
