package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile is far above any sensible configuration; it keeps a wrong path,
// such as that of the database, from being read into memory.
const maxFile = 1 << 20

// file reads the named file, or [DefaultFile] where it exists, and gives the
// path that it read.
func (l *loader) file(name string) string {
	path, named := name, name != ""
	if !named {
		path = DefaultFile
	}
	b, err := readSmall(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return ""
	case err != nil:
		l.fault(path, "", "cannot be read: "+reason(err))
		return path
	}
	l.document(path, b)
	return path
}

func (l *loader) document(path string, b []byte) {
	var doc, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments
		return
	case err != nil:
		l.fault(path, "", "is not YAML: "+strings.TrimPrefix(oneLine(err.Error()), "yaml: "))
		return
	}
	l.section(path, "", doc.Content[0])
	if !errors.Is(decoder.Decode(&second), io.EOF) {
		l.fault(path, "", "has more than one YAML document; allowed: one")
	}
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("it has %s; a configuration has at most %s", Size(info.Size()), Size(maxFile))
	}
	return os.ReadFile(path)
}

// reason leaves out the path, which the fault names already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// section sets what the mapping n gives; section is "" for the whole file. A
// section without content is written `http:` and means nothing.
func (l *loader) section(path, section string, n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.fault(at(path, n), section, "must hold keys; allowed: "+strings.Join(children(l.rows, section), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := n.Content[i], n.Content[i+1]
		key := name.Value
		if section != "" {
			key = section + "." + key
		}
		if seen[key] {
			l.fault(at(path, name), key, "is there twice; allowed: once")
			continue
		}
		seen[key] = true
		l.entry(path, section, key, name, content)
	}
}

func (l *loader) entry(path, section, key string, name, content *yaml.Node) {
	f, isSetting := find(l.rows, key)
	switch {
	case isSetting:
		l.scalar(path, f, content)
	case len(children(l.rows, key)) > 0:
		l.section(path, key, content)
	case key == "admin" || section == "admin":
		l.fault(at(path, name), key, "is not taken from a file; allowed: "+envPassword+" or "+envPasswordFile+" in the environment")
	default:
		l.fault(at(path, name), key, unknownKey(l.rows, section, name.Value))
	}
}

func (l *loader) scalar(path string, f field, n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		l.fault(at(path, n), f.key, "must be one value ("+f.help+")")
	case n.Tag == "!!null":
		l.fault(at(path, n), f.key, "has no value; leave the line out for the default, "+f.value.String())
	default:
		l.set(f, at(path, n), n.Value)
	}
}

func at(path string, n *yaml.Node) string { return fmt.Sprintf("%s:%d", path, n.Line) }
