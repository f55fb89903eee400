package cli

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
)

type deviceLsCmd struct {
	clientFlags
	Search  string   `arg:"" optional:"" help:"Part of an id or a name."`
	Tag     []string `sep:"none" placeholder:"KEY:VALUE" help:"Only devices with this tag; may be repeated."`
	Online  bool     `xor:"presence" help:"Only devices that are connected."`
	Offline bool     `xor:"presence" help:"Only devices that are not connected."`
	JSON    bool     `name:"json" help:"As JSON, one device a line."`
}

func (c *deviceLsCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	q := client.Query{Text: c.Search, Tags: c.Tag}
	if c.Online || c.Offline {
		q.Online = &c.Online
	}
	var devices []client.Device
	for d, err := range server.Devices(ctx, q) {
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	if c.JSON {
		return eachJSON(t, devices)
	}
	if len(devices) == 0 && t.interactive() {
		t.printf("No device matches. Add one with: trefoil device add ID\n")
		return nil
	}
	rows := make([][]string, 0, len(devices))
	for _, d := range devices {
		rows = append(rows, []string{d.ID, d.Name, presence(d, time.Now()), d.Profile, tagList(d.Tags)})
	}
	t.table([]string{"Id", "Name", "State", "Profile", "Tags"}, rows)
	return nil
}

func presence(d client.Device, now time.Time) string {
	switch {
	case d.Presence.Since.IsZero():
		return "never connected"
	case d.Online:
		return "online for " + span(now.Sub(d.Presence.Since))
	default:
		return "offline for " + span(now.Sub(d.Presence.Since)) + ": " + d.Presence.Reason
	}
}

func tagList(tags map[string]string) string {
	list := make([]string, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, k+":"+tags[k])
	}
	return strings.Join(list, " ")
}
