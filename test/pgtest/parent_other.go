//go:build !linux

package pgtest

import "os/exec"

// endWithParent is for Linux only; elsewhere a killed test leaves a server.
func endWithParent(*exec.Cmd) {}
