package cli

import (
	"cmp"

	"github.com/trefoil-iot/trefoil/internal/client"
)

const defaultServer = "http://localhost:8080"

// clientFlags say which server a command talks to.
type clientFlags struct {
	Server string `group:"connection" placeholder:"URL" help:"Address of the server; also $$TREFOIL_SERVER. Default: http://localhost:8080."`
	Token  string `group:"connection" placeholder:"TOKEN" help:"Token of a user; also $$TREFOIL_TOKEN. Default: that of trefoil login."`
}

// server gives the address without a slash at its end.
func (f clientFlags) server(t *terminal) string {
	return cmp.Or(f.Server, t.lookup("TREFOIL_SERVER"), defaultServer)
}

// connect makes a client; nothing is sent yet.
func (f clientFlags) connect(t *terminal) (*client.Client, error) {
	anonymous, err := client.New(f.server(t), "")
	if err != nil {
		return nil, usageError(err.Error())
	}
	token := cmp.Or(f.Token, t.lookup("TREFOIL_TOKEN"))
	if token == "" {
		tokens, err := openTokens(t)
		if err != nil {
			return nil, err
		}
		token = tokens.Servers[anonymous.Server()]
	}
	return anonymous.WithToken(token), nil
}
