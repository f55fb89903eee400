package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Where   string // "trefoil.yaml:7", "TREFOIL_HTTP" or "--http"
	Key     string // "http.address"; "" when the place as a whole is wrong
	Problem string // with the allowed values
}

func (f Fault) String() string {
	if f.Key == "" {
		return f.Where + ": " + f.Problem
	}
	return f.Where + ": " + f.Key + ": " + f.Problem
}

// Faults is everything that is wrong, in the order of file, environment,
// flags. It is an error with a line per fault.
type Faults []Fault

func (f Faults) Error() string {
	if len(f) == 1 {
		return f[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d faults in the configuration", len(f))
	for _, fault := range f {
		b.WriteString("\n  " + fault.String())
	}
	return b.String()
}

// unknownKey says what would have been right instead of the name in the
// section.
func unknownKey(rows []field, section, name string) string {
	allowed := children(rows, section)
	hint := ""
	if near := nearest(name, allowed); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	} else if key := elsewhere(rows, name); key != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", key)
	}
	in := "at the top"
	if section != "" {
		in = "in " + section
	}
	return fmt.Sprintf("unknown key%s; allowed %s: %s", hint, in, strings.Join(allowed, ", "))
}

// elsewhere finds the one setting of that last name in another section.
func elsewhere(rows []field, name string) string {
	found := ""
	for _, f := range rows {
		if !strings.HasSuffix(f.key, "."+name) {
			continue
		}
		if found != "" {
			return ""
		}
		found = f.key
	}
	return found
}

// nearest gives the candidate that name is most probably a slip of, or "".
func nearest(name string, candidates []string) string {
	slips := max(1, len(strings.TrimPrefix(name, envPrefix))/3)
	best, bestDistance := "", slips+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, drop, replace or swap with
// their neighbour that makes b of a (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
