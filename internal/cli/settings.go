package cli

import "github.com/trefoil-iot/trefoil/internal/config"

// serverFlags are the settings that have a flag; all of them can stand in the
// file and in the environment.
type serverFlags struct {
	ConfigFile string  `name:"config" placeholder:"FILE" help:"Configuration file; also $$TREFOIL_CONFIG. Default: trefoil.yaml, where it exists."`
	Data       *string `placeholder:"DIR" help:"Directory of everything that the server keeps; also $$TREFOIL_DATA. Default: ./trefoil-data."`
	Store      *string `placeholder:"URL" help:"Database: sqlite (the default, a file in DIR) or postgres://…; also $$TREFOIL_STORE."`
	HTTP       *string `name:"http" placeholder:"ADDR" help:"Web UI, REST and live WebSocket; also $$TREFOIL_HTTP. Default: :8080."`
	MQTT       *string `name:"mqtt" placeholder:"ADDR" help:"MQTT for devices; also $$TREFOIL_MQTT. Default: :1883."`
	MQTTS      *string `name:"mqtts" placeholder:"ADDR" help:"MQTT over TLS for devices; also $$TREFOIL_MQTTS. Needs a certificate, see docs/configuration.md. Default: off."`
	LogLevel   *string `placeholder:"LEVEL" help:"debug, info, warn or error. Default: info."`
	LogFormat  *string `placeholder:"FORMAT" help:"text or json. Default: text."`
}

func (f serverFlags) inputs(t *terminal) config.Inputs {
	in := config.Inputs{File: f.ConfigFile, Env: t.env, Flags: map[string]string{}}
	if in.File == "" {
		in.File = t.lookup("TREFOIL_CONFIG")
	}
	for name, value := range map[string]*string{
		"--data": f.Data, "--store": f.Store, "--http": f.HTTP, "--mqtt": f.MQTT, "--mqtts": f.MQTTS,
		"--log-level": f.LogLevel, "--log-format": f.LogFormat,
	} {
		if value != nil {
			in.Flags[name] = *value
		}
	}
	return in
}
