package payload

import (
	"math"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/valyala/fastjson"
)

// timeKey is the member that carries the time of a record.
const timeKey = "ts"

// plain takes one JSON value for the metric that the topic names.
func (w *decoding) plain(metric string, v *fastjson.Value) error {
	metric, err := trefoil.ParseMetric(metric)
	if err != nil {
		return err
	}
	switch v.Type() {
	case fastjson.TypeObject, fastjson.TypeArray, fastjson.TypeNull:
		return trefoil.Errorf(trefoil.CodeInvalid,
			`payload for metric %q is %s; one plain value is allowed there: a number, true, false or a text in quotes`, metric, jsonKind(v.Type()))
	}
	value, err := scalar(metric, v)
	if err != nil {
		return err
	}
	return w.add(metric, value)
}

// document takes an object of metrics or an array of such objects.
func (w *decoding) document(v *fastjson.Value) error {
	switch v.Type() {
	case fastjson.TypeObject:
		return w.record(v)
	case fastjson.TypeArray:
		records, _ := v.Array()
		for i, r := range records {
			if r.Type() != fastjson.TypeObject {
				return trefoil.Errorf(trefoil.CodeInvalid, `entry %d of the array is %s; objects such as {"temperature": 21.5} are allowed`, i+1, jsonKind(r.Type()))
			}
			if err := w.record(r); err != nil {
				return trefoil.Errorf(trefoil.CodeOf(err), "entry %d: %w", i+1, err)
			}
		}
		return nil
	default:
		return trefoil.Errorf(trefoil.CodeInvalid,
			`payload is %s; send an object such as {"temperature": 21.5}, or one plain value to …/telemetry/{metric}`, jsonKind(v.Type()))
	}
}

func (w *decoding) record(v *fastjson.Value) error {
	w.now = w.arrival
	object, _ := v.Object()
	if ts := object.Get(timeKey); ts != nil {
		t, err := jsonTime(ts)
		if err != nil {
			return err
		}
		w.now = t
	}
	w.path = w.path[:0]
	return w.members(object, 1)
}

// members flattens nested objects: {"motor":{"speed":3}} is motor.speed.
func (w *decoding) members(object *fastjson.Object, depth int) (err error) {
	if depth > w.limits.Depth {
		return trefoil.Errorf(trefoil.CodeInvalid, "%q is nested more than %d objects deep", w.path, w.limits.Depth)
	}
	base := len(w.path)
	object.Visit(func(key []byte, v *fastjson.Value) {
		if err != nil || depth == 1 && string(key) == timeKey {
			return
		}
		if depth > 1 {
			w.path = append(w.path[:base], '.')
		}
		w.path = append(w.path, key...)
		err = w.member(v, depth)
		w.path = w.path[:base]
	})
	return err
}

func (w *decoding) member(v *fastjson.Value, depth int) error {
	switch v.Type() {
	case fastjson.TypeObject:
		object, _ := v.Object()
		return w.members(object, depth+1)
	case fastjson.TypeNull: // a sensor that has nothing to say
		return nil
	}
	metric, err := w.name(w.path)
	if err != nil {
		return err
	}
	value, err := scalar(metric, v)
	if err != nil {
		return err
	}
	return w.add(metric, value)
}

func scalar(metric string, v *fastjson.Value) (trefoil.Value, error) {
	switch v.Type() {
	case fastjson.TypeNumber:
		f, err := v.Float64()
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return trefoil.Value{}, trefoil.Errorf(trefoil.CodeInvalid, "value %s of metric %q is not a finite number", v.MarshalTo(nil), metric)
		}
		return trefoil.NumberValue(f), nil
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return trefoil.BooleanValue(v.Type() == fastjson.TypeTrue), nil
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return trefoil.TextValue(string(b)), nil
	default:
		return trefoil.Value{}, trefoil.Errorf(trefoil.CodeInvalid,
			"value of metric %q is %s; numbers, true, false, texts and nested objects are allowed", metric, jsonKind(v.Type()))
	}
}

func jsonTime(v *fastjson.Value) (trefoil.Instant, error) {
	switch v.Type() {
	case fastjson.TypeNumber:
		if n, err := v.Int64(); err == nil && n >= 0 { // the usual case, without an allocation
			return checkTime(integerTime(n), "")
		}
		return parseNumberTime(string(v.MarshalTo(nil)))
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return parseTextTime(strings.TrimSpace(string(b)))
	default:
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "ts is %s; %s", jsonKind(v.Type()), allowedTimes)
	}
}

func jsonKind(t fastjson.Type) string {
	switch t {
	case fastjson.TypeObject:
		return "an object"
	case fastjson.TypeArray:
		return "an array"
	case fastjson.TypeNull:
		return "null"
	case fastjson.TypeString:
		return "a text"
	case fastjson.TypeNumber:
		return "a number"
	default:
		return "a boolean"
	}
}
