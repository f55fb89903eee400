package payload

import (
	"math"

	"github.com/trefoil-iot/trefoil"
	"github.com/valyala/fastjson"
)

// record is one SenML record (RFC 8428, section 4) with what it has set.
type record struct {
	baseName  string
	baseTime  *float64
	baseValue *float64
	name      string
	time      *float64
	value     *float64
	boolean   *bool
	text      *string
	other     string // a field that this decoder does not take, or ""
	fault     string // a field of the wrong type, or ""
}

// relativeTime is the size below which a SenML time is relative to now
// (RFC 8428, section 4.5.3).
const relativeTime = 1 << 28

// senML resolves the base fields of a pack (RFC 8428, section 4.6). Names are
// base name and name joined, as they stand.
func (w *decoding) senML(records []record, err error) error {
	if err != nil {
		return err
	}
	var baseName string
	var baseTime, baseValue float64
	for i, r := range records {
		switch {
		case r.fault != "":
			return trefoil.Errorf(trefoil.CodeInvalid, "record %d: field %q has the wrong type", i+1, r.fault)
		case r.other != "":
			return trefoil.Errorf(trefoil.CodeInvalid, "record %d: field %q is not supported; v, vb, vs, n, t, u, bn, bt, bv, bu are", i+1, r.other)
		}
		if r.baseName != "" {
			baseName = r.baseName
		}
		baseTime, baseValue = orElse(r.baseTime, baseTime), orElse(r.baseValue, baseValue)
		if err := w.senMLRecord(r, baseName, baseTime, baseValue); err != nil {
			return trefoil.Errorf(trefoil.CodeOf(err), "record %d: %w", i+1, err)
		}
	}
	return nil
}

func (w *decoding) senMLRecord(r record, baseName string, baseTime, baseValue float64) (err error) {
	var value trefoil.Value
	switch {
	case r.value != nil:
		value = trefoil.NumberValue(baseValue + *r.value)
	case r.boolean != nil:
		value = trefoil.BooleanValue(*r.boolean)
	case r.text != nil:
		value = trefoil.TextValue(*r.text)
	default: // base fields only
		return nil
	}
	if w.now, err = w.senMLTime(baseTime + orElse(r.time, 0)); err != nil {
		return err
	}
	metric, err := w.name([]byte(baseName + r.name))
	if err != nil {
		return err
	}
	return w.add(metric, value)
}

func (w *decoding) senMLTime(seconds float64) (trefoil.Instant, error) {
	us := math.Round(seconds * 1e6)
	if math.Abs(seconds) < relativeTime {
		us += float64(w.arrival)
	}
	if math.IsNaN(us) || us < 0 || us > maxTime {
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "time %g s is outside of the years 1970 to 9999", seconds)
	}
	return trefoil.Instant(us), nil
}

func orElse(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}

func jsonRecords(v *fastjson.Value) ([]record, error) {
	list, err := v.Array()
	if err != nil {
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "SenML is an array of records; this is %s", jsonKind(v.Type()))
	}
	records := make([]record, len(list))
	for i, item := range list {
		object, err := item.Object()
		if err != nil {
			return nil, trefoil.Errorf(trefoil.CodeInvalid, "record %d is %s; a record is an object", i+1, jsonKind(item.Type()))
		}
		object.Visit(func(key []byte, v *fastjson.Value) { records[i].setJSON(string(key), v) })
	}
	return records, nil
}

func (r *record) setJSON(key string, v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeNumber:
		f, _ := v.Float64()
		r.set(key, f)
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		r.set(key, string(b))
	case fastjson.TypeTrue, fastjson.TypeFalse:
		r.set(key, v.Type() == fastjson.TypeTrue)
	default:
		r.set(key, nil)
	}
}

// set takes a field by its JSON label. Fields that only describe (units,
// update time) are passed over; a label that ends with _ must be understood
// (RFC 8428, section 4.4).
func (r *record) set(key string, value any) {
	number, isNumber := value.(float64)
	text, isText := value.(string)
	boolean, isBoolean := value.(bool)
	ok := true
	switch key {
	case "bn":
		r.baseName, ok = text, isText
	case "n":
		r.name, ok = text, isText
	case "bt":
		r.baseTime, ok = &number, isNumber
	case "t":
		r.time, ok = &number, isNumber
	case "bv":
		r.baseValue, ok = &number, isNumber
	case "v":
		r.value, ok = &number, isNumber
	case "vb":
		r.boolean, ok = &boolean, isBoolean
	case "vs":
		r.text, ok = &text, isText
	case "vd", "s", "bs":
		r.other = key
	default:
		if len(key) > 0 && key[len(key)-1] == '_' {
			r.other = key
		}
	}
	if !ok {
		r.fault = key
	}
}
