package liveclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil"
)

// Times between attempts to connect.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Follow watches one subscription for as long as ctx lasts: it connects, and
// when the connection is lost it connects again and goes on after the last
// commit that it has. handle gets every frame but hello; it must come to terms
// with a snapshot that arrives again, after a reset. lost, which may be nil, is
// told why a connection ended and how long Follow waits.
//
// Follow returns the error of handle; nil when ctx ends; and an error that
// trying again would not cure: the server refuses the token or the
// subscription.
func Follow(ctx context.Context, c Config, s Subscription, handle func(Frame) error, lost func(error, time.Duration)) error {
	if s.ID == "" {
		s.ID = "follow"
	}
	wait := firstRetry
	for {
		progress, err := followOnce(ctx, c, &s, handle)
		switch {
		case ctx.Err() != nil:
			return nil
		case final(err):
			return errors.Unwrap(err)
		case progress:
			wait = firstRetry
		}
		pause := RetryAfter(err, wait)
		if lost != nil {
			lost(err, pause)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, lastRetry)
	}
}

// ending is an error that ends Follow.
type ending struct{ error }

func (e ending) Unwrap() error { return e.error }

func final(err error) bool {
	var e ending
	return errors.As(err, &e)
}

// followOnce follows one connection; progress says that it brought something.
func followOnce(ctx context.Context, c Config, s *Subscription, handle func(Frame) error) (progress bool, err error) {
	conn, err := Dial(ctx, c)
	if err != nil {
		if code := trefoil.CodeOf(err); code != trefoil.CodeUnavailable {
			err = ending{err}
		}
		return false, err
	}
	defer func() { _ = conn.ws.CloseNow() }()
	if err := conn.Subscribe(ctx, *s); err != nil {
		return false, err
	}
	for {
		f, err := conn.Next(ctx)
		if err != nil {
			return progress, err
		}
		switch f.Op {
		case "hello":
			continue
		case "error":
			return progress, ending{&trefoil.Error{Code: f.Code, Message: f.Message}}
		case "snapshot", "readings":
			progress = true
			s.Since = new(f.Seq)
		}
		if err := handle(f); err != nil {
			_ = conn.Close()
			return progress, ending{err}
		}
	}
}

// RetryAfter gives the time after which to connect again: what the server
// asked for when it closed the connection, else wait with some chance in it,
// so that many clients do not come at the same moment.
func RetryAfter(err error, wait time.Duration) time.Duration {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		_, after, found := strings.Cut(closed.Reason, "retry=")
		if ms, bad := strconv.Atoi(after); found && bad == nil && ms >= 0 {
			return min(time.Duration(ms)*time.Millisecond, lastRetry)
		}
	}
	return wait/2 + rand.N(wait)
}
