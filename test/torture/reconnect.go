package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// beforeCut is the mean time until a connection is lost by itself.
const beforeCut = time.Second

// forever connects again and again and calls use for every connection, until
// ctx ends or the server makes a mistake. A connection also ends at a random
// moment while the server lives: half of the times the server learns of it,
// and else it sees that the client connects a second time.
func forever(ctx context.Context, addr string, who identity, use func(*link) error) error {
	var before *link // of which the server knows nothing yet
	for ctx.Err() == nil {
		l, err := dial(ctx, addr, who)
		if before != nil {
			_ = before.Close() // the client has given it up
			before = nil
		}
		switch {
		case errors.Is(err, errRefused):
			return fmt.Errorf("%s: %w", who.clientID, err)
		case err != nil:
			wait(ctx, beat)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // ends the reader
		cut := time.AfterFunc(time.Duration(rand.ExpFloat64()*float64(beforeCut)), l.lose)
		err = use(l)
		cut.Stop()
		stop()
		if l.silent.Load() {
			before = l
		} else {
			_ = l.Close() // of which nothing more is expected
		}
		if err != nil {
			return fmt.Errorf("%s: %w", who.clientID, err)
		}
	}
	return nil
}

// lose ends the connection for the client and, half of the times, for the
// server.
func (l *link) lose() {
	if rand.IntN(2) == 0 {
		_ = l.Close() // seen by the reader
		return
	}
	l.silent.Store(true)
	_ = l.CloseRead() // as above
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
