package cli

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

type versionCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// build is what a binary knows about its making.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // "" when built outside of a checkout
	Time    string `json:"time,omitempty"`
	Dirty   bool   `json:"modified"`
	Go      string `json:"go"`
	OS      string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = cmp.Or(info.Main.Version, b.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b
}

func (c *versionCmd) Run(t *terminal) error {
	b := readBuild()
	if c.JSON {
		return t.json(b)
	}
	commit := cmp.Or(b.Commit, "unknown")
	if b.Dirty {
		commit += " with changes"
	}
	t.printf("trefoil %s\ncommit  %s\ngo      %s %s\n", b.Version, commit, b.Go, b.OS)
	return nil
}
