package history

import (
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// Fill says what stands for buckets without readings. The counts of such
// buckets are 0, and time-weighted averages and states go on with the value
// that holds; Fill decides about everything else.
type Fill string

// The ways to fill.
const (
	FillNone     Fill = ""         // buckets without readings are left out
	FillNull     Fill = "null"     // no value
	FillPrevious Fill = "previous" // that of the bucket before
	FillLinear   Fill = "linear"   // on the line between the numbers before and after; no value at the ends
)

// Fills lists all ways to fill.
func Fills() []Fill { return []Fill{FillNone, FillNull, FillPrevious, FillLinear} }

// ParseFill reads the name of a way to fill; "" and "none" are FillNone.
func ParseFill(s string) (Fill, error) {
	if s == "none" {
		s = ""
	}
	if f := Fill(s); slices.Contains(Fills(), f) {
		return f, nil
	}
	return "", unknownFill(s)
}

func unknownFill(s string) error {
	return trefoil.Errorf(trefoil.CodeInvalid, "unknown fill %q; allowed are none, null, previous, linear", s)
}

// fill completes the columns of a series that has all its buckets.
func (f Fill) fill(s *Series) {
	for i := range s.Columns {
		v := s.Columns[i].V
		switch f {
		case FillPrevious:
			for k := 1; k < len(v); k++ {
				if v[k].Kind() == 0 {
					v[k] = v[k-1]
				}
			}
		case FillLinear:
			interpolate(s.T, v)
		}
	}
}

// interpolate puts what is missing between two numbers on the line that
// connects the beginnings of their buckets.
func interpolate(t []trefoil.Instant, v []trefoil.Value) {
	last := -1 // the last number
	for k := range v {
		if v[k].Kind() == 0 {
			continue
		}
		if last >= 0 && v[k].Kind() == trefoil.Number {
			from, by := v[last].Float(), v[k].Float()-v[last].Float()
			for m := last + 1; m < k; m++ {
				share := float64(t[m]-t[last]) / float64(t[k]-t[last])
				v[m] = finiteIf(true, from+by*share)
			}
		}
		last = -1
		if v[k].Kind() == trefoil.Number {
			last = k
		}
	}
}
