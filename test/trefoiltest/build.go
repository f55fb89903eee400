package trefoiltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Root is the directory of the module.
func Root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Build builds the binary into dir and returns its path. If BINARY_UNDER_TEST
// is set, it returns that and builds nothing.
func Build(dir string) (string, error) {
	if path := os.Getenv("BINARY_UNDER_TEST"); path != "" {
		return filepath.Abs(path)
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "trefoil")
	build := exec.Command("go", "build", "-o", path, "./cmd/trefoil")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return path, nil
}
