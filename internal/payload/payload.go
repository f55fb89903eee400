// Package payload turns what a device sends into readings: JSON objects and
// arrays of them, one plain JSON value, CBOR, and SenML in JSON and CBOR. It
// decides nothing about devices or topics and keeps nothing.
package payload

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/trefoil-iot/trefoil"
	"github.com/valyala/fastjson"
)

// Limits bound the work that one payload can cause. The zero value stands for
// the defaults.
type Limits struct {
	Readings int // readings in one payload; default 10,000
	Depth    int // nesting of objects; default 8
}

func (l Limits) orDefault() Limits {
	if l.Readings <= 0 {
		l.Readings = 10_000
	}
	if l.Depth <= 0 {
		l.Depth = 8
	}
	return l
}

// Decoder decodes payloads. It may be used by many goroutines at once.
type Decoder struct {
	limits Limits
	pool   sync.Pool // of *decoding
}

// NewDecoder makes a decoder.
func NewDecoder(limits Limits) *Decoder {
	return &Decoder{limits: limits.orDefault()}
}

// Source is what is known about a payload besides its bytes.
type Source struct {
	// ContentType is that of MQTT 5 or HTTP, with or without parameters; ""
	// when the sender said nothing, the first byte tells then.
	ContentType string
	// Metric is the name in the topic when the payload is one plain value, or "".
	Metric string
	// Received is the time of readings that carry none.
	Received trefoil.Instant
}

// Decode appends the readings of body to dst and returns it. It keeps no
// reference to body. On an error, a [trefoil.Error] with code invalid or
// too_many that says what is wrong and where, dst is returned unchanged:
// a payload is taken whole or not at all.
func (d *Decoder) Decode(src Source, body []byte, dst []trefoil.Reading) ([]trefoil.Reading, error) {
	w, _ := d.pool.Get().(*decoding)
	if w == nil {
		w = newDecoding(d.limits)
	}
	defer d.pool.Put(w)
	w.begin(src.Received, dst)
	if err := w.decode(src, body); err != nil {
		return dst, err
	}
	if len(w.out) == len(dst) {
		return dst, trefoil.Errorf(trefoil.CodeInvalid, `payload holds no readings; send an object such as {"temperature": 21.5}`)
	}
	return w.out, nil
}

// decoding is the working memory of one call.
type decoding struct {
	limits  Limits
	parser  fastjson.Parser
	names   map[string]string // metric names that passed ParseMetric
	path    []byte            // of the member that is being flattened
	out     []trefoil.Reading
	first   int // index in out of the first reading of this payload
	now     trefoil.Instant
	arrival trefoil.Instant
}

// maxNames bounds the memory for names; devices with more have their names
// made anew.
const maxNames = 4096

func newDecoding(l Limits) *decoding {
	return &decoding{limits: l, names: make(map[string]string)}
}

func (w *decoding) begin(received trefoil.Instant, dst []trefoil.Reading) {
	w.out, w.first, w.now, w.arrival = dst, len(dst), received, received
	w.path = w.path[:0]
	if len(w.names) > maxNames {
		clear(w.names)
	}
}

func (w *decoding) decode(src Source, body []byte) error {
	format, err := formatOf(src.ContentType, body)
	switch {
	case err != nil:
		return err
	case len(body) == 0:
		return trefoil.Errorf(trefoil.CodeInvalid, "payload is empty")
	case format == formatCBOR || format == formatSenMLCBOR:
		return w.cbor(body, src.Metric, format == formatSenMLCBOR)
	}
	v, err := w.parser.ParseBytes(body)
	switch {
	case err != nil:
		return notJSON(body, err)
	case format == formatSenMLJSON:
		return w.senML(jsonRecords(v))
	case src.Metric != "":
		return w.plain(src.Metric, v)
	default:
		return w.document(v)
	}
}

// The formats of a payload.
type format int

const (
	formatJSON format = iota
	formatCBOR
	formatSenMLJSON
	formatSenMLCBOR
)

// formatOf tells the format by the content type, and without one by the first
// byte: a CBOR map or array starts with 0x80 to 0xbf or the tag 0xd9, and no
// JSON does.
func formatOf(contentType string, body []byte) (format, error) {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "":
		if len(body) > 0 && (body[0] >= 0x80 && body[0] <= 0xbf || body[0] == 0xd9) {
			return formatCBOR, nil
		}
		return formatJSON, nil
	case "application/cbor":
		return formatCBOR, nil
	case "application/senml+json":
		return formatSenMLJSON, nil
	case "application/senml+cbor":
		return formatSenMLCBOR, nil
	default:
		return 0, trefoil.Errorf(trefoil.CodeInvalid,
			"content type %q is not known; allowed are application/json, application/cbor, application/senml+json, application/senml+cbor", contentType)
	}
}

// notJSON says where in the text the parser gave up.
func notJSON(body []byte, err error) error {
	const shown = 40
	head := bytes.ToValidUTF8(body[:min(len(body), shown)], []byte("?"))
	more := ""
	if len(body) > shown {
		more = "…"
	}
	what, _, _ := strings.Cut(err.Error(), "; unparsed tail")
	what = strings.TrimPrefix(what, "cannot parse JSON: ")
	return trefoil.Errorf(trefoil.CodeInvalid, "payload is not JSON: %s; it begins with %q", what, fmt.Sprintf("%s%s", head, more))
}

// add appends one reading with the time of the record it stands in.
func (w *decoding) add(metric string, v trefoil.Value) error {
	if len(w.out)-w.first >= w.limits.Readings {
		return trefoil.Errorf(trefoil.CodeTooMany, "payload holds more than %d readings; send several messages", w.limits.Readings)
	}
	if !v.Valid() {
		return invalidValue(metric, v)
	}
	w.out = append(w.out, trefoil.Reading{Metric: metric, Time: w.now, Value: v})
	return nil
}

func invalidValue(metric string, v trefoil.Value) error {
	if v.Kind() == trefoil.Text {
		return trefoil.Errorf(trefoil.CodeInvalid, "text of metric %q must be UTF-8 of at most %d bytes", metric, trefoil.MaxText)
	}
	return trefoil.Errorf(trefoil.CodeInvalid, "value of metric %q is not a finite number", metric)
}

// name checks a metric's name; a name that was seen before costs no allocation.
func (w *decoding) name(b []byte) (string, error) {
	if s, ok := w.names[string(b)]; ok {
		return s, nil
	}
	s, err := trefoil.ParseMetric(string(b))
	if err == nil {
		w.names[s] = s
	}
	return s, err
}
