package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// DefaultFile is read when no file is named and it is in the working
// directory.
const DefaultFile = "trefoil.yaml"

// Inputs are the places that settings come from.
type Inputs struct {
	File   string            // named by the user; "": DefaultFile where it exists
	NoFile bool              // read none
	Env    []string          // KEY=value, as os.Environ gives it
	Flags  map[string]string // by flag: "--http" to ":9080"; only those that were given
}

// Effective is the outcome: a valid configuration and where it comes from.
type Effective struct {
	Config   Config
	File     string    // that was read, "" for none
	Settings []Setting // all of them, in a fixed order
}

// Setting is one line of what `trefoil config` shows.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`  // secrets are masked
	Origin string `json:"origin"` // "default", "trefoil.yaml:7", "TREFOIL_HTTP" or "--http"
	Env    string `json:"env"`
	Flag   string `json:"flag,omitempty"`
	Help   string `json:"help"`
}

// Names gives all settings with their defaults, without reading anything.
func Names() []Setting {
	l := loader{config: Default()}
	l.rows = fields(&l.config)
	return l.settings()
}

// Load gathers the settings. Its error is [Faults].
func Load(in Inputs) (Effective, error) {
	l := loader{config: Default(), origins: map[string]string{}}
	l.rows = fields(&l.config)
	file := ""
	if !in.NoFile {
		file = l.file(in.File)
	}
	l.environment(in.Env)
	l.flags(in.Flags)
	l.together()
	if len(l.faults) > 0 {
		return Effective{}, l.faults
	}
	return Effective{Config: l.config, File: file, Settings: l.settings()}, nil
}

// loader is the state of one Load.
type loader struct {
	config  Config
	rows    []field
	origins map[string]string // by key; none means default
	faults  Faults
}

func (l *loader) set(f field, where, s string) {
	if err := f.value.Set(s); err != nil {
		l.fault(where, f.key, err.Error())
		return
	}
	l.origins[f.key] = where
}

func (l *loader) fault(where, key, problem string) {
	l.faults = append(l.faults, Fault{Where: where, Key: key, Problem: problem})
}

// flags takes what the command line gave. Which flags exist is the command
// line's business, so one that is not in the table belongs to a command.
func (l *loader) flags(given map[string]string) {
	for _, f := range l.rows {
		if s, ok := given[f.flag]; ok && f.flag != "" {
			l.set(f, f.flag, s)
		}
	}
}

// together checks what only several settings together can break.
func (l *loader) together() {
	if l.config.Limits.Payload > l.config.Limits.Packet {
		where := cmp.Or(l.origins["limits.payload"], l.origins["limits.packet"])
		l.fault(where, "limits.payload", fmt.Sprintf(
			"%s is larger than limits.packet, which is %s; allowed: at most that",
			l.config.Limits.Payload, l.config.Limits.Packet))
	}
	l.tls()
}

func (l *loader) settings() []Setting {
	out := make([]Setting, 0, len(l.rows)+1)
	for _, f := range l.rows {
		out = append(out, Setting{
			Key: f.key, Value: f.value.String(), Origin: cmp.Or(l.origins[f.key], "default"),
			Env: f.env, Flag: f.flag, Help: f.help,
		})
	}
	password := "(random at the first start)"
	if l.config.Admin.Password != "" {
		password = "********"
	}
	return append(out, Setting{
		Key: passwordKey, Value: password, Origin: cmp.Or(l.origins[passwordKey], "default"),
		Env: envPassword, Help: "password of the first administrator; only from the environment, also as " + envPasswordFile,
	})
}

// The administrator's password comes from the environment only: a file that
// is shared, backed up or checked in is no place for it, and a flag can be
// read by every user of the machine.
const (
	passwordKey     = "admin.password"
	envPassword     = "TREFOIL_ADMIN_PASSWORD"
	envPasswordFile = "TREFOIL_ADMIN_PASSWORD_FILE"
)

// otherNames are variables that belong to commands that talk to a server.
var otherNames = []string{"TREFOIL_CONFIG", "TREFOIL_SERVER", "TREFOIL_TOKEN", "TREFOIL_USER", "TREFOIL_PASSWORD"}

// foreign matches variables with our prefix that others make: Kubernetes
// injects TREFOIL_SERVICE_HOST, TREFOIL_PORT_8080_TCP and the like for every
// service whose name begins with trefoil; the tests use TREFOIL_TEST_….
var foreign = regexp.MustCompile(`^TREFOIL_(TEST_.*|(.*_)?(SERVICE_(HOST|PORT).*|PORT(_[0-9]+_(TCP|UDP|SCTP).*)?))$`)

func (l *loader) environment(env []string) {
	vars := map[string]string{}
	for _, kv := range env {
		if name, v, _ := strings.Cut(kv, "="); strings.HasPrefix(name, envPrefix) {
			vars[name] = v
		}
	}
	known := append([]string{envPassword, envPasswordFile}, otherNames...)
	for _, f := range l.rows {
		known = append(known, f.env)
		if s, ok := vars[f.env]; ok {
			l.set(f, f.env, s)
		}
	}
	l.password(vars)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if slices.Contains(known, name) || foreign.MatchString(name) {
			continue
		}
		problem := "unknown variable"
		if near := nearest(name, known); near != "" {
			problem += " (did you mean " + near + "?)"
		}
		l.fault(name, "", problem+"; `trefoil config --names` lists all")
	}
}

func (l *loader) password(vars map[string]string) {
	direct, hasDirect := vars[envPassword]
	file, hasFile := vars[envPasswordFile]
	switch {
	case hasDirect && hasFile:
		l.fault(envPassword, passwordKey, "both "+envPassword+" and "+envPasswordFile+" are set; allowed: one of them")
	case hasDirect:
		l.setPassword(envPassword, direct)
	case hasFile:
		b, err := os.ReadFile(file)
		if err != nil {
			l.fault(envPasswordFile, passwordKey, "cannot be read: "+err.Error())
			return
		}
		l.setPassword(envPasswordFile, strings.TrimRight(string(b), "\r\n"))
	}
}

func (l *loader) setPassword(where, s string) {
	if s == "" {
		l.fault(where, passwordKey, "is empty; set a password, or unset the variable for a random one")
		return
	}
	l.config.Admin.Password = s
	l.origins[passwordKey] = where
}
