package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // for machines without a time zone database

	"github.com/trefoil-iot/trefoil"
)

// Step is the width of buckets: a fixed length of time, or a number of
// calendar days, weeks or months, which is not always the same length. The
// zero Step asks for no buckets.
type Step struct {
	fixed  time.Duration
	days   int // of which multiples of seven begin on Mondays
	months int
}

// Every is the step of a fixed length.
func Every(d time.Duration) Step { return Step{fixed: d} }

// Days is a step of n calendar days.
func Days(n int) Step { return Step{days: n} }

// Months is a step of n calendar months.
func Months(n int) Step { return Step{months: n} }

// IsZero reports whether s asks for no buckets.
func (s Step) IsZero() bool { return s == Step{} }

// meanMonth is the mean length of a month of the Gregorian calendar.
const meanMonth = 30*24*time.Hour + 10*time.Hour + 29*time.Minute + 6*time.Second

// Length is the width of a bucket; that of months and of days is the mean one.
func (s Step) Length() time.Duration {
	switch {
	case s.months != 0:
		return time.Duration(s.months) * meanMonth
	case s.days != 0:
		return time.Duration(s.days) * 24 * time.Hour
	default:
		return s.fixed
	}
}

func (s Step) String() string {
	switch {
	case s.months != 0:
		return fmt.Sprintf("%dmo", s.months)
	case s.days != 0:
		return fmt.Sprintf("%dd", s.days)
	default:
		return s.fixed.String()
	}
}

// ParseStep reads the width of buckets: 10s, 5m, 1h, 1h30m or a whole number
// of milliseconds are fixed lengths; 1d, 1w, 1mo and 1y are calendar steps.
func ParseStep(s string) (Step, error) {
	step, ok := calendarStep(s)
	if !ok {
		var d time.Duration
		d, ok = duration(s)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			d, ok = time.Duration(n)*time.Millisecond, n >= 0 && n <= MaxStep.Milliseconds()
		}
		step = Every(d)
	}
	if !ok || step.Length() < MinStep || step.Length() > MaxStep {
		return Step{}, trefoil.Errorf(trefoil.CodeInvalid, "step %q: allowed are lengths such as 10s, 5m, 1h, calendar steps such as 1d, 1w, 1mo, 1y, or a number of milliseconds, at least %v and at most 100 years", s, MinStep)
	}
	return step, nil
}

// calendarStep reads a whole number with one of the units of a calendar.
func calendarStep(s string) (Step, bool) {
	number := strings.TrimRight(s, "dwmoy")
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || n > 100*366 || s[0] == '+' {
		return Step{}, false
	}
	switch s[len(number):] {
	case "d":
		return Days(n), true
	case "w":
		return Days(7 * n), true
	case "mo":
		return Months(n), true
	case "y":
		return Months(12 * n), true
	default:
		return Step{}, false
	}
}

// ParseZone finds a time zone by its name in the IANA database; "" is UTC.
func ParseZone(name string) (*time.Location, error) {
	if name == "Local" { // means the server's, which a client cannot know
		name = "/"
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "time zone %q is not known; allowed are UTC and the names of the IANA time zone database, such as Europe/Paris or America/New_York", name)
	}
	return loc, nil
}
