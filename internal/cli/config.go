package cli

import (
	"cmp"

	"github.com/trefoil-iot/trefoil/internal/config"
)

type configCmd struct {
	serverFlags
	Names bool `help:"Show the names of all settings and their defaults instead; reads nothing."`
	JSON  bool `name:"json" help:"As JSON, one setting a line."`
}

func (configCmd) Help() string {
	return `A setting comes from the first of these that has it: a flag, a variable TREFOIL_…, the file (trefoil.yaml or --config FILE), the default. Secrets are masked. The exit code is 2 when something is wrong, so this command also checks a file before a restart.

Examples:

    trefoil config
    trefoil config --config /etc/trefoil.yaml
    trefoil config --names`
}

func (c *configCmd) Run(t *terminal) error {
	settings := config.Names()
	if !c.Names {
		e, err := config.Load(c.inputs(t))
		if err != nil {
			return err
		}
		settings = e.Settings
	}
	if c.JSON {
		return eachJSON(t, settings)
	}
	var rows [][]string
	for _, s := range settings {
		if c.Names {
			rows = append(rows, []string{s.Key, s.Env, cmp.Or(s.Flag, "-"), s.Value, s.Help})
		} else {
			rows = append(rows, []string{s.Key, s.Value, s.Origin})
		}
	}
	if c.Names {
		t.table([]string{"Setting", "Variable", "Flag", "Default", "Meaning"}, rows)
	} else {
		t.table([]string{"Setting", "Value", "From"}, rows)
	}
	return nil
}

func eachJSON[T any](t *terminal, items []T) error {
	for _, item := range items {
		if err := t.json(item); err != nil {
			return err
		}
	}
	return nil
}
