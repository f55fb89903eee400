package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/client"
)

type deviceAddCmd struct {
	clientFlags
	ID      string   `arg:"" optional:"" help:"Id: 1 to 64 of A-Z a-z 0-9 . _ -; left out, the server makes one."`
	Name    string   `placeholder:"NAME" help:"Name for people. Default: the id."`
	Tag     []string `sep:"none" placeholder:"KEY:VALUE" help:"Tag; may be repeated."`
	Profile string   `placeholder:"NAME" help:"Kind of device, which gives units and ranges."`
	Quiet   bool     `short:"q" help:"Only the token."`
	JSON    bool     `name:"json" help:"As JSON."`
}

func (c *deviceAddCmd) Run(ctx context.Context, t *terminal) error {
	tags, err := parseTags(c.Tag)
	if err != nil {
		return err
	}
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	d, err := server.CreateDevice(ctx, client.NewDevice{ID: c.ID, Name: c.Name, Tags: tags, Profile: c.Profile})
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return t.json(d)
	case c.Quiet:
		t.printf("%s\n", d.Token)
		return nil
	}
	t.printf("Device %s is there. Its token is shown this once:\n\n    %s\n\n", d.ID, d.Token)
	t.hints(ctx, server, d)
	return nil
}

// hints show how to send a first reading, with the real address. They are a
// service: without an answer of the server there are none.
func (t *terminal) hints(ctx context.Context, server *client.Client, d client.Device) {
	port, err := server.MQTTPort(ctx)
	if err != nil {
		return
	}
	t.printf("Send a first reading:\n\n")
	t.printf("    mosquitto_pub -h %s -p %d -u %s -P '%s' -q 1 -t devices/%s/telemetry -m '{\"temperature\": 21.5}'\n",
		server.Host(), port, d.ID, d.Token, d.ID)
	t.printf("    curl -H 'Authorization: Bearer %s' -d '{\"temperature\": 21.5}' %s/api/v1/devices/%s/telemetry\n",
		d.Token, server.Server(), d.ID)
}

func parseTags(list []string) (map[string]string, error) {
	tags := trefoil.Tags{}
	for _, s := range list {
		k, v, _ := strings.Cut(s, ":")
		if k == "" {
			return nil, usageError(fmt.Sprintf("--tag %q: write it as KEY:VALUE, for example --tag site:roanoke", s))
		}
		tags[k] = v
	}
	if err := tags.Validate(); err != nil {
		return nil, usageError("--tag: " + err.Error())
	}
	return tags, nil
}
