package packet

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTopicNames(t *testing.T) {
	tests := []struct {
		topic string
		want  ReasonCode
	}{
		{"a", Success},
		{"/", Success},
		{"a//b", Success},
		{"/finance", Success},
		{"Accounts payable", Success},
		{"$SYS/x", Success},
		{"München/größe", Success},
		{strings.Repeat("a", 65535), Success},
		{strings.Repeat("/", MaxTopicLevels-1), Success},
		{strings.Repeat("/", MaxTopicLevels), TopicNameInvalid},
		{strings.Repeat("/", 50_000), TopicNameInvalid},
		{strings.Repeat("a", 65536), MalformedPacket}, // [MQTT-4.7.3-3]
		{"", MalformedPacket},                         // [MQTT-4.7.3-1]
		{"a\x00", MalformedPacket},                    // [MQTT-4.7.3-2]
		{"+", MalformedPacket},                        // [MQTT-3.3.2-2]
		{"a/#", MalformedPacket},                      // [MQTT-3.3.2-2]
		{"\xff", MalformedPacket},                     // [MQTT-1.5.4-1]
	}
	for _, tt := range tests {
		if got, what := reasonOf(ValidateTopic(tt.topic)); got != tt.want {
			t.Errorf("%.40q: got %v (%s), want %v", tt.topic, got, what, tt.want)
		}
	}
}

func TestTopicFilters(t *testing.T) {
	tests := []struct {
		filter string
		want   ReasonCode
	}{
		{"#", Success},
		{"+", Success},
		{"sport/tennis/#", Success},
		{"+/tennis/#", Success},
		{"sport/+/player1", Success},
		{"/+", Success},
		{"a/+/#", Success},
		{"$share", Success}, // not the form of a shared subscription
		{"$share/group/#", Success},
		{"$share/group//", Success},
		{"$share/g/$share/h/a", Success},
		{strings.Repeat("/", MaxTopicLevels-1), Success},
		{strings.Repeat("+/", 50_000), MalformedPacket},
		{strings.Repeat("+/", 30_000), TopicFilterInvalid},
		{"", MalformedPacket},                    // [MQTT-4.7.3-1]
		{"a\x00", MalformedPacket},               // [MQTT-4.7.3-2]
		{"\xed\xa0\x80", MalformedPacket},        // [MQTT-1.5.4-1]
		{"sport/tennis#", MalformedPacket},       // [MQTT-4.7.1-1]
		{"sport/tennis/#/rank", MalformedPacket}, // [MQTT-4.7.1-1]
		{"#/", MalformedPacket},                  // [MQTT-4.7.1-1]
		{"##", MalformedPacket},                  // [MQTT-4.7.1-1]
		{"sport+", MalformedPacket},              // [MQTT-4.7.1-2]
		{"a/+b/c", MalformedPacket},              // [MQTT-4.7.1-2]
		{"$share/", MalformedPacket},             // [MQTT-4.8.2-1]
		{"$share//a", MalformedPacket},           // [MQTT-4.8.2-1]
		{"$share/+/a", MalformedPacket},          // [MQTT-4.8.2-2]
		{"$share/g#/a", MalformedPacket},         // [MQTT-4.8.2-2]
		{"$share/g", MalformedPacket},            // [MQTT-4.8.2-2]
		{"$share/g/", MalformedPacket},           // [MQTT-4.8.2-2]
		{"$share/g/a#", MalformedPacket},         // [MQTT-4.7.1-1]
	}
	for _, tt := range tests {
		if got, what := reasonOf(ValidateFilter(tt.filter)); got != tt.want {
			t.Errorf("%.40q: got %v (%s), want %v", tt.filter, got, what, tt.want)
		}
	}
}

// The examples of section 4.7 and more.
func TestMatch(t *testing.T) {
	tests := []struct {
		filter, topic string
		want          bool
	}{
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/tennis/player1/#", "sport/tennis/player10", false},
		{"sport/#", "sport", true},
		{"#", "a/b", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"a/+/#", "a/b", true},
		{"a/+/#", "a", false},
		{"a/+/b", "a//b", true},
		{"a", "A", false},
		{"a", "a/", false},
		{"a/", "a", false},
		{"a/#", "ab", false},
		{"#", "$SYS/x", false}, // [MQTT-4.7.2-1]
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/x", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"a/#", "a/$SYS", true},
	}
	for _, tt := range tests {
		if got := Match(tt.filter, tt.topic); got != tt.want {
			t.Errorf("Match(%q, %q): got %v, want %v", tt.filter, tt.topic, got, tt.want)
		}
	}
}

// matchLevels is the definition, for comparison.
func matchLevels(filter, topic []string) bool {
	switch {
	case len(filter) > 0 && filter[0] == "#":
		return true
	case len(filter) == 0 || len(topic) == 0:
		return len(filter) == len(topic)
	default:
		return (filter[0] == "+" || filter[0] == topic[0]) && matchLevels(filter[1:], topic[1:])
	}
}

func TestMatchAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topic := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "$x"}), 1, 5).Draw(t, "topic"), "/")
		levels := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "$x", "+"}), 1, 5).Draw(t, "filter")
		if rapid.Bool().Draw(t, "multi") {
			levels[len(levels)-1] = "#"
		}
		filter := strings.Join(levels, "/")
		if topic == "" || filter == "" {
			t.Skip("neither may be empty")
		}
		want := matchLevels(levels, strings.Split(topic, "/"))
		if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') { // [MQTT-4.7.2-1]
			want = false
		}
		if got := Match(filter, topic); got != want {
			t.Errorf("Match(%q, %q): got %v, want %v", filter, topic, got, want)
		}
	})
}

func TestParseShared(t *testing.T) {
	tests := []struct {
		in, name, filter string
		shared           bool
	}{
		{"$share/group/a/+", "group", "a/+", true},
		{"$share/group//a", "group", "/a", true},
		{"a/$share/b", "", "a/$share/b", false},
		{"$shared/a/b", "", "$shared/a/b", false},
	}
	for _, tt := range tests {
		name, filter, shared := ParseShared(tt.in)
		if name != tt.name || filter != tt.filter || shared != tt.shared {
			t.Errorf("%q: got %q %q %v, want %q %q %v", tt.in, name, filter, shared, tt.name, tt.filter, tt.shared)
		}
	}
}

func TestLevels(t *testing.T) {
	for topic, want := range map[string]int{"": 1, "a": 1, "a/b": 2, "/": 2, "/a/": 3} {
		if got := Levels(topic); got != want {
			t.Errorf("%q: got %d, want %d", topic, got, want)
		}
	}
}
