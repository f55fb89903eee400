package config

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/trefoil-iot/trefoil"
)

// Span is how long something is kept: a [trefoil.Span] without its zero.
type Span = trefoil.Span

// retain is a span, or a word for zero.
type retain struct {
	p    *Span
	zero string
}

func (v retain) String() string {
	if *v.p == 0 {
		return v.zero
	}
	return v.p.String()
}

func (v retain) Set(s string) error {
	if s == v.zero {
		*v.p = 0
		return nil
	}
	span, err := trefoil.ParseSpan(s)
	if err != nil {
		return fmt.Errorf("%w, or %s", err, v.zero)
	}
	*v.p = span
	return nil
}

// percent is a share, or "off".
type percent struct{ p *float64 }

func (v percent) String() string {
	if *v.p == 0 {
		return "off"
	}
	return strconv.FormatFloat(*v.p*100, 'g', 4, 64) + "%"
}

func (v percent) Set(s string) error {
	if s == "off" {
		*v.p = 0
		return nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || n < 1 || n > 99 || !strings.HasSuffix(s, "%") {
		return fmt.Errorf("%q is not allowed; allowed: 1%% to 99%%, or off", s)
	}
	*v.p = n / 100
	return nil
}

// directory names a directory, or is "none".
type directory struct{ p *string }

func (v directory) String() string { return cmp.Or(*v.p, "none") }

func (v directory) Set(s string) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("is empty; allowed: the path of a directory, or none")
	}
	*v.p = s
	if s == "none" {
		*v.p = ""
	}
	return nil
}
