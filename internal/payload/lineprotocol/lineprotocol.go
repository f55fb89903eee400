// Package lineprotocol reads lines of the InfluxDB line protocol:
//
//	measurement,tag=value field=21.5,other="text" 1700000000000000000
package lineprotocol

import (
	"math"
	"strconv"
	"strings"

	"github.com/trefoil-iot/trefoil"
)

// Point is what one line says.
type Point struct {
	Measurement string
	Tags        map[string]string
	Fields      []Field
	Time        int64 // in the unit of the file
	Timed       bool  // the line has a time
}

// Field is one value of a point.
type Field struct {
	Name  string
	Value trefoil.Value
}

// Parse reads one line without its end. An empty line and a comment are a
// point without fields.
func Parse(line string) (Point, error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return Point{}, nil
	}
	key, rest := cut(line, ' ', false)
	fields, stamp := cut(strings.TrimLeft(rest, " "), ' ', true)
	p, err := head(key)
	if err != nil {
		return Point{}, err
	}
	for rest := fields; rest != ""; {
		var one string
		one, rest = cut(rest, ',', true)
		f, err := field(one)
		if err != nil {
			return Point{}, err
		}
		p.Fields = append(p.Fields, f)
	}
	if len(p.Fields) == 0 {
		return Point{}, trefoil.Errorf(trefoil.CodeInvalid, "there are no fields; a line is measurement,tag=value field=1 time")
	}
	if stamp = strings.TrimSpace(stamp); stamp == "" {
		return p, nil
	}
	if p.Time, err = strconv.ParseInt(stamp, 10, 64); err != nil {
		return Point{}, trefoil.Errorf(trefoil.CodeInvalid, "time %q is not a whole number", stamp)
	}
	p.Timed = true
	return p, nil
}

// head reads measurement and tags.
func head(key string) (Point, error) {
	name, rest := cut(key, ',', false)
	p := Point{Measurement: unescape(name), Tags: make(map[string]string)}
	if p.Measurement == "" {
		return p, trefoil.Errorf(trefoil.CodeInvalid, "there is no measurement")
	}
	for rest != "" {
		var tag string
		tag, rest = cut(rest, ',', false)
		k, v := cut(tag, '=', false)
		if k == "" || v == "" {
			return p, trefoil.Errorf(trefoil.CodeInvalid, "tag %q is not name=value", tag)
		}
		p.Tags[unescape(k)] = unescape(v)
	}
	return p, nil
}

func field(s string) (Field, error) {
	k, v := cut(s, '=', false)
	f := Field{Name: unescape(k)}
	if k == "" || v == "" {
		return f, trefoil.Errorf(trefoil.CodeInvalid, "field %q is not name=value", s)
	}
	if v[0] == '"' {
		if len(v) < 2 || v[len(v)-1] != '"' {
			return f, trefoil.Errorf(trefoil.CodeInvalid, "the text of field %s does not end", f.Name)
		}
		f.Value = trefoil.TextValue(strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(v[1 : len(v)-1]))
		return f, nil
	}
	switch v {
	case "t", "T", "true", "True", "TRUE":
		f.Value = trefoil.BooleanValue(true)
		return f, nil
	case "f", "F", "false", "False", "FALSE":
		f.Value = trefoil.BooleanValue(false)
		return f, nil
	}
	number := v
	if end := v[len(v)-1]; end == 'i' || end == 'u' {
		number = v[:len(v)-1]
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return f, trefoil.Errorf(trefoil.CodeInvalid, "value %s of field %s is no number, boolean or text in quotes", v, f.Name)
	}
	f.Value = trefoil.NumberValue(n)
	return f, nil
}

// cut divides s at the first separator that is neither escaped nor, where
// texts may be, inside of one.
func cut(s string, separator byte, texts bool) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"' && texts:
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\,`, `,`, `\=`, `=`, `\ `, ` `).Replace(s)
}
