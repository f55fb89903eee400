package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// tokens are the logins of this user, by address of the server, in a file
// that only the user may read.
type tokens struct {
	Servers map[string]string `json:"servers"`

	path string
}

// configDir is the user's directory for configuration: the one of
// os.UserConfigDir, from the environment of the command.
func configDir(t *terminal) (string, error) {
	if dir := t.lookup("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "trefoil"), nil
	}
	if home := t.lookup("HOME"); home != "" {
		return filepath.Join(home, ".config", "trefoil"), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the directory for the login: %w; give --token or set TREFOIL_TOKEN instead", err)
	}
	return filepath.Join(dir, "trefoil"), nil
}

// openTokens reads the logins; none when there is no file. Without a home
// directory there are none either, until one must be saved.
func openTokens(t *terminal) (*tokens, error) {
	s := &tokens{Servers: map[string]string{}}
	dir, err := configDir(t)
	if err != nil {
		return s, nil
	}
	s.path = filepath.Join(dir, "tokens.json")
	b, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("read the stored login: %w", err)
	}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; delete it and log in again", s.path, err)
	}
	if s.Servers == nil {
		s.Servers = map[string]string{}
	}
	return s, nil
}

// save replaces the file in one step.
func (s *tokens) save() error {
	if s.path == "" {
		return errors.New("no home directory to keep the login in; use --token or TREFOIL_TOKEN instead")
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	if err := os.WriteFile(s.path+".new", append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	if err := os.Rename(s.path+".new", s.path); err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	return nil
}
