package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// PortTaken is the error of a port that another process uses.
type PortTaken struct {
	Role    string // "http", "mqtt" or "mqtts": the flag that changes it
	Address string
}

func (e *PortTaken) Error() string {
	_, port, _ := net.SplitHostPort(e.Address)
	other, _ := strconv.Atoi(port) // 0 for a service name, which is as good
	if other += 10_000; other > 65_535 {
		other -= 20_000
	}
	what := "another web server"
	if e.Role != "http" {
		what = "another MQTT broker"
	}
	return fmt.Sprintf("port %s is taken, perhaps by %s: choose another one with --%s ADDR, for example --%s :%d", port, what, e.Role, e.Role, other)
}

func listen(role, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &PortTaken{Role: role, Address: address}
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("no permission to use %s (ports below 1024 need it): choose another one with --%s ADDR: %w", address, role, err)
	case err != nil:
		return nil, fmt.Errorf("listen on %s, which --%s says: %w", address, role, err)
	}
	return l, nil
}

// addressesFile tells other programs on this machine where the server
// listens; it is in the data directory while the server is ready.
const addressesFile = "addresses.json"

type addresses struct {
	HTTP  string `json:"http"`
	MQTT  string `json:"mqtt"`
	MQTTS string `json:"mqtts,omitempty"`
	PID   int    `json:"pid"`
}

// writeAddresses replaces the file in one step, so that nobody reads half.
func writeAddresses(dir string, a addresses) error {
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode addresses: %w", err)
	}
	path := filepath.Join(dir, addressesFile)
	if err := os.WriteFile(path+".new", append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	return nil
}

func removeAddresses(dir string) error {
	err := os.Remove(filepath.Join(dir, addressesFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove addresses: %w", err)
	}
	return nil
}
