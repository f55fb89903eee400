package simulate

import (
	"strings"

	"github.com/trefoil-iot/trefoil"
)

// appendRecord appends the readings of one time, at least one, as a JSON object; neighbours
// whose names share a prefix before a dot become a nested object, as firmware
// sends them. The object says when it was measured.
func appendRecord(b []byte, readings []trefoil.Reading) []byte {
	b = append(b, `{"ts":`...)
	b = readings[0].Time.AppendMillis(b)
	b = append(b, ',')
	group := ""
	for i, r := range readings {
		outer, inner, nested := strings.Cut(r.Metric, ".")
		if !nested {
			outer, inner = "", r.Metric
		}
		if group != "" && outer != group {
			b = append(b, '}')
		}
		if i > 0 {
			b = append(b, ',')
		}
		if nested && outer != group {
			b = append(b, '"')
			b = append(b, outer...)
			b = append(b, `":{`...)
		}
		group = outer
		b = append(b, '"')
		b = append(b, inner...)
		b = append(b, `":`...)
		b = r.Value.AppendJSON(b)
	}
	if group != "" {
		b = append(b, '}')
	}
	return append(b, '}')
}
