package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine says where and of what the figures are.
type machine struct {
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Kernel  string    `json:"kernel"`
	FsyncMS float64   `json:"fsync_ms"`
	Commit  string    `json:"commit"`
	Time    time.Time `json:"time"`
}

func describeMachine(root, disk string) (machine, error) {
	m := machine{CPU: "unknown processor", Cores: runtime.NumCPU(), Kernel: runtime.GOOS, Time: time.Now().UTC()}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				m.CPU = strings.TrimSpace(strings.TrimLeft(name, " \t:"))
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(b))
	}
	describe := exec.Command("git", "describe", "--always", "--dirty", "--exclude", "*")
	describe.Dir = root
	if out, err := describe.Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	var err error
	m.FsyncMS, err = fsyncTime(disk)
	return m, err
}

// fsyncTime is the median time that the disk takes to make an appended 4 KiB
// durable, in milliseconds.
func fsyncTime(dir string) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var took []float64
	for page := make([]byte, 4096); len(took) < 101; {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, milliseconds(time.Since(start)))
	}
	return median(took), nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

func median(x []float64) float64 { return quantile(x, 0.5) }

// quantile sorts x and gives its p-quantile, 0 for no values.
func quantile[T ~float32 | ~float64](x []T, p float64) T {
	if len(x) == 0 {
		return 0
	}
	slices.Sort(x)
	return x[int(p*float64(len(x)-1))]
}

// resident is the memory of a process in bytes.
func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib * 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory", pid)
}
