package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// life starts parts and stops them in reverse order. A part that ends by
// itself with an error ends the whole.
type life struct {
	undo   []step
	failed chan error // the first error of a part that ended by itself
	group  sync.WaitGroup
}

type step struct {
	name string
	stop func(ctx context.Context) error
}

func newLife() *life { return &life{failed: make(chan error, 1)} }

// onStop notes how to stop what was just started.
func (l *life) onStop(name string, stop func(ctx context.Context) error) {
	l.undo = append(l.undo, step{name, stop})
}

// background runs fn in a goroutine until its context ends, which the stop of
// the step does and waits for.
func (l *life) background(name string, fn func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	l.group.Go(func() {
		defer close(ended)
		if err := fn(ctx); err != nil && ctx.Err() == nil {
			l.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
	l.onStop(name, func(stop context.Context) error {
		cancel()
		select {
		case <-ended:
			return nil
		case <-stop.Done():
			return stop.Err()
		}
	})
}

func (l *life) fail(err error) {
	select {
	case l.failed <- err:
	default: // an earlier one is the cause
	}
}

// stop undoes all steps, the latest first. Every step is taken, also when
// one before fails or ctx ends.
func (l *life) stop(ctx context.Context) error {
	var errs []error
	for i := len(l.undo) - 1; i >= 0; i-- {
		if err := l.undo[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", l.undo[i].name, err))
		}
	}
	l.undo = nil
	return errors.Join(errs...)
}
