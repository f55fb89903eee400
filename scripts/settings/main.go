// Command settings writes the table of all settings into a document, between
// the lines <!-- settings --> and <!-- end of settings -->.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/trefoil-iot/trefoil/internal/config"
)

const (
	begin = "<!-- settings -->\n"
	end   = "<!-- end of settings -->\n"
)

func main() {
	if err := rewrite(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "settings:", err)
		os.Exit(1)
	}
}

func rewrite(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		return fmt.Errorf("%s has no lines %q and %q", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+table()+end+after), 0o644)
}

func table() string {
	var b strings.Builder
	b.WriteString("| in the file | environment | flag | default | |\n|---|---|---|---|---|\n")
	for _, s := range config.Names() {
		flag := ""
		if s.Flag != "" {
			flag = "`" + s.Flag + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | `%s` | %s |\n", s.Key, s.Env, flag, s.Value, s.Help)
	}
	return b.String()
}
