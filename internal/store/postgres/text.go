package postgres

import (
	"strings"
	"unicode/utf8"
)

// storable gives s without what a text of PostgreSQL cannot hold: zero bytes
// and bytes that are not UTF-8 become U+FFFD.
func storable(s string) string {
	if !strings.Contains(s, "\x00") && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// storableArgs makes the texts among the parameters of a statement storable.
// It changes args, which belongs to the caller of the variadic function only
// when that has passed a slice, so it copies before it changes.
func storableArgs(args []any) []any {
	copied := false
	for i, a := range args {
		s, ok := a.(string)
		if !ok {
			continue
		}
		if clean := storable(s); clean != s {
			if !copied {
				args, copied = append([]any(nil), args...), true
			}
			args[i] = clean
		}
	}
	return args
}
