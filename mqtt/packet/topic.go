package packet

import (
	"strings"
	"unicode/utf8"
)

// MaxTopicLevels is the largest number of levels of a topic name or filter
// that this package takes. MQTT has no such limit; without one, a topic of
// 32,768 levels is legal and costs every tree of subscriptions dearly.
const MaxTopicLevels = 128

const sharePrefix = "$share/"

// Levels counts the levels of a topic name or filter: "a/b" has two, "/a" two,
// "" one.
func Levels(topic string) int { return 1 + strings.Count(topic, "/") }

// ValidateTopic tests a topic name: 1 to 65535 bytes of UTF-8 [MQTT-4.7.3-1],
// [MQTT-4.7.3-3], without U+0000 [MQTT-4.7.3-2] and without wildcards
// [MQTT-3.3.2-2], of at most [MaxTopicLevels] levels. The error is an [*Error]
// with MalformedPacket, for too many levels with TopicNameInvalid.
func ValidateTopic(topic string) error {
	if e := checkTopic([]byte(topic)); e != nil {
		return e
	}
	return nil
}

func checkTopic(topic []byte) *Error {
	if len(topic) == 0 {
		return malformed("topic name is empty [MQTT-4.7.3-1]")
	}
	levels, ascii := 1, true
	for _, c := range topic {
		switch {
		case c == '/':
			levels++
		case c == '+' || c == '#': // [MQTT-4.7.0-1]
			return malformed("topic name has a wildcard [MQTT-3.3.2-2]")
		case c == 0:
			return malformed("topic name has a U+0000 [MQTT-4.7.3-2]")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	switch {
	case len(topic) > maxField:
		return malformed("topic name has more than 65535 bytes [MQTT-4.7.3-3]")
	case !ascii && !utf8.Valid(topic):
		return malformed("topic name is not UTF-8 [MQTT-1.5.4-1]")
	case levels > MaxTopicLevels:
		return &Error{Reason: TopicNameInvalid, What: "topic name has more than 128 levels"}
	default:
		return nil
	}
}

// ValidateFilter tests a topic filter: as [ValidateTopic], but with wildcards
// where they may stand, [MQTT-4.7.1-1] and [MQTT-4.7.1-2], and the form
// $share/{name}/{filter} where it begins like that, [MQTT-4.8.2-1] and
// [MQTT-4.8.2-2]. The error is an [*Error] with MalformedPacket, for too many
// levels with TopicFilterInvalid.
func ValidateFilter(filter string) error {
	if e := checkFilter(filter); e != nil {
		return e
	}
	return nil
}

func checkFilter(filter string) *Error {
	switch {
	case filter == "":
		return malformed("topic filter is empty [MQTT-4.7.3-1]")
	case len(filter) > maxField:
		return malformed("topic filter has more than 65535 bytes [MQTT-4.7.3-3]")
	case strings.IndexByte(filter, 0) >= 0:
		return malformed("topic filter has a U+0000 [MQTT-4.7.3-2]")
	case !utf8.ValidString(filter):
		return malformed("topic filter is not UTF-8 [MQTT-1.5.4-1]")
	case Levels(filter) > MaxTopicLevels:
		return &Error{Reason: TopicFilterInvalid, What: "topic filter has more than 128 levels"}
	}
	name, inner, shared := ParseShared(filter)
	switch {
	case shared && (name == "" || strings.ContainsAny(name, "+#")):
		return malformed("name of a shared subscription is empty or has a wildcard [MQTT-4.8.2-1]")
	case shared && inner == "":
		return malformed("shared subscription has no topic filter [MQTT-4.8.2-2]")
	case shared:
		filter = inner
	}
	return checkWildcards(filter)
}

func checkWildcards(filter string) *Error {
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case level == "#" && more:
			return malformed("# is not the last level of its topic filter [MQTT-4.7.1-1]")
		case len(level) > 1 && strings.IndexByte(level, '#') >= 0:
			return malformed("# shares its level of the topic filter [MQTT-4.7.1-1]")
		case len(level) > 1 && strings.IndexByte(level, '+') >= 0:
			return malformed("+ shares its level of the topic filter [MQTT-4.7.1-2]")
		}
	}
	return nil
}

// ParseShared takes $share/{name}/{filter} apart. shared is false for a filter
// of another form, which is then returned as it is.
func ParseShared(s string) (name, filter string, shared bool) {
	rest, shared := strings.CutPrefix(s, sharePrefix)
	if !shared {
		return "", s, false
	}
	name, filter, _ = strings.Cut(rest, "/")
	return name, filter, true
}

// Match reports whether a valid topic filter matches a valid topic name. Bytes
// are compared as they are [MQTT-4.7.3-4]. For a shared subscription, pass the
// filter that [ParseShared] gives.
func Match(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false // [MQTT-4.7.2-1]
	}
	for {
		f, filterRest, filterMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, topicRest, topicMore := strings.Cut(topic, "/")
		switch {
		case f != "+" && f != t:
			return false
		case !topicMore:
			return !filterMore || filterRest == "#" // "a/#" matches "a" too, section 4.7.1.2
		case !filterMore:
			return false
		}
		filter, topic = filterRest, topicRest
	}
}
