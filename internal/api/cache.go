package api

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/history/table"
)

// Changes knows whether the past of a device is still what it was.
type Changes interface {
	// Version is another one whenever a commit that is visible to readers may
	// have changed something before to. It is no use when ok is false.
	Version(id trefoil.DeviceID, to trefoil.Instant) (version string, ok bool)
}

const (
	// closedAfter is how long ago a range must have ended to be worth caching:
	// readings on their way would change it at once.
	closedAfter = time.Minute

	// closedCache lets a browser use what it has for a moment without asking,
	// and then only after asking. So long may it miss a late reading.
	closedCache = "private, max-age=30, must-revalidate"
)

// cached answers 304 and reports true if the client has the answer to q. It
// sets the headers of an answer that may be kept.
//
// The tag is made of the question and of all that its answer depends on: the
// last commit that may have changed something before the end of the range, the
// first reading of each series, which retention takes away without a commit,
// and the units.
func (s *server) cached(w http.ResponseWriter, r *http.Request, d trefoil.Device, q history.Query, a asked, f table.Format) (fresh bool, err error) {
	if s.Changes == nil || !a.absolute() || q.From >= q.To || q.To > trefoil.InstantOf(s.Now().Add(-closedAfter)) {
		return false, nil
	}
	version, ok := s.Changes.Version(d.ID, q.To) // before anything is read
	if !ok {
		return false, nil
	}
	beginnings, err := s.History.Beginnings(r.Context(), q)
	if err != nil {
		return false, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %d %s %q %v\n", version, d.ID, d.Created, f, r.URL.RawQuery, strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"))
	units := s.profileOf(d)
	for _, b := range beginnings {
		fmt.Fprintf(h, "%q %q %d %d\n", b.Metric, units.Metrics[b.Metric].Unit, b.First, b.Summary)
	}
	tag := `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", closedCache)
	w.Header().Set("Vary", "Accept, Accept-Encoding, Authorization, Cookie")
	if !has(r.Header.Values("If-None-Match"), tag) {
		return false, nil
	}
	w.WriteHeader(http.StatusNotModified)
	return true, nil
}

// has reports whether a header of tags has this one.
func has(values []string, tag string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.TrimPrefix(strings.TrimSpace(part), "W/") == tag {
				return true
			}
		}
	}
	return false
}
