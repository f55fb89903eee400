package payload

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/trefoil-iot/trefoil"
)

// cborMode bounds what a hostile payload can make the library build.
func (w *decoding) cborMode() (cbor.DecMode, error) {
	return cbor.DecOptions{
		MaxNestedLevels:  w.limits.Depth + 2,
		MaxArrayElements: max(16, w.limits.Readings),
		MaxMapPairs:      max(16, w.limits.Readings),
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		TimeTag:          cbor.DecTagOptional,
		DefaultMapType:   nil,
	}.DecMode()
}

// cbor takes the same shapes as JSON: a map of metrics, an array of such
// maps, one plain value for a metric in the topic, or a SenML pack.
func (w *decoding) cbor(body []byte, metric string, senML bool) error {
	mode, err := w.cborMode()
	if err != nil {
		return fmt.Errorf("set up the CBOR decoder: %w", err)
	}
	var doc any
	if err := mode.Unmarshal(body, &doc); err != nil {
		return trefoil.Errorf(trefoil.CodeInvalid, "payload is not CBOR: %s", err)
	}
	switch doc := doc.(type) {
	case []any:
		if senML {
			return w.senML(cborRecords(doc))
		}
		return w.cborRecordList(doc)
	case map[any]any:
		if metric == "" && !senML {
			return w.cborRecord(doc)
		}
	default:
		if metric != "" {
			return w.cborPlain(metric, doc)
		}
	}
	return trefoil.Errorf(trefoil.CodeInvalid, "payload is a CBOR %s, which is not allowed here", cborKind(doc))
}

func (w *decoding) cborPlain(metric string, v any) error {
	metric, err := trefoil.ParseMetric(metric)
	if err != nil {
		return err
	}
	value, err := cborScalar(metric, v)
	if err != nil {
		return err
	}
	return w.add(metric, value)
}

func (w *decoding) cborRecordList(list []any) error {
	for i, item := range list {
		m, ok := item.(map[any]any)
		if !ok {
			return trefoil.Errorf(trefoil.CodeInvalid, "entry %d of the array is a %s; maps are allowed", i+1, cborKind(item))
		}
		if err := w.cborRecord(m); err != nil {
			return trefoil.Errorf(trefoil.CodeOf(err), "entry %d: %w", i+1, err)
		}
	}
	return nil
}

func (w *decoding) cborRecord(m map[any]any) (err error) {
	w.now = w.arrival
	if ts, ok := m[timeKey]; ok {
		if w.now, err = cborTime(ts); err != nil {
			return err
		}
		delete(m, timeKey)
	}
	return w.cborMembers("", m)
}

// cborMembers visits the members sorted by key, so that the same payload
// always gives the same readings in the same order.
func (w *decoding) cborMembers(prefix string, m map[any]any) error {
	names := make(map[string]any, len(m))
	for k, v := range m {
		s, ok := k.(string)
		if !ok {
			return trefoil.Errorf(trefoil.CodeInvalid, "key %v of a map is a %s; texts are allowed", k, cborKind(k))
		}
		names[s] = v
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if err := w.cborMember(prefix+k, names[k]); err != nil {
			return err
		}
	}
	return nil
}

func (w *decoding) cborMember(path string, v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case map[any]any:
		return w.cborMembers(path+".", v)
	}
	return w.cborPlain(path, v)
}

func cborScalar(metric string, v any) (trefoil.Value, error) {
	switch v := v.(type) {
	case bool:
		return trefoil.BooleanValue(v), nil
	case string:
		return trefoil.TextValue(v), nil
	}
	if f, ok := cborNumber(v); ok {
		return trefoil.NumberValue(f), nil
	}
	return trefoil.Value{}, trefoil.Errorf(trefoil.CodeInvalid,
		"value of metric %q is a CBOR %s; numbers, booleans, texts and maps are allowed", metric, cborKind(v))
}

func cborNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case uint64:
		return float64(v), true
	case int64:
		return float64(v), true
	case big.Int:
		f, _ := new(big.Float).SetInt(&v).Float64()
		return f, true
	default:
		return 0, false
	}
}

func cborTime(v any) (trefoil.Instant, error) {
	switch v := v.(type) {
	case string:
		return parseTextTime(v)
	case time.Time:
		return checkTime(v.UnixMicro(), v.String())
	case uint64:
		return parseNumberTime(strconv.FormatUint(v, 10))
	case float64:
		return parseNumberTime(strconv.FormatFloat(v, 'f', -1, 64))
	default:
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "ts is a CBOR %s; %s", cborKind(v), allowedTimes)
	}
}

// cborLabels are the integer labels of RFC 8428, table 4.
func cborLabel(k any) string {
	switch k := k.(type) {
	case string:
		return k
	case int64:
		return map[int64]string{-2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs", -1: "bver"}[k]
	case uint64:
		return map[uint64]string{0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd"}[k]
	default:
		return ""
	}
}

func cborRecords(list []any) ([]record, error) {
	records := make([]record, len(list))
	for i, item := range list {
		m, ok := item.(map[any]any)
		if !ok {
			return nil, trefoil.Errorf(trefoil.CodeInvalid, "record %d is a %s; a record is a map", i+1, cborKind(item))
		}
		for k, v := range m {
			if f, ok := cborNumber(v); ok {
				v = f
			}
			records[i].set(cborLabel(k), v)
		}
	}
	return records, nil
}

func cborKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "text"
	case []byte:
		return "byte string"
	case []any:
		return "array"
	case map[any]any:
		return "map"
	case uint64, int64, float64, big.Int:
		return "number"
	default:
		return "value of another type"
	}
}
