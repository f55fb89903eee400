package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// find looks for a program on PATH and in one place beside it.
func find(name, place string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if _, err := os.Stat(place); err == nil {
		return place, nil
	}
	return "", fmt.Errorf("%s is not installed; scripts/install.sh installs it", name)
}

// buildYardstick builds the load generators.
func (b *bench) buildYardstick(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "mqttload")); err != nil {
		return fmt.Errorf("no load generator in %s; YARDSTICK says where it is", dir)
	}
	for name, path := range map[string]*string{"mqttload": &b.load, "mqttidle": &b.idle} {
		*path = filepath.Join(b.dir, name)
		build := exec.Command("go", "build", "-o", *path, "./"+name)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// broker is a running Mosquitto.
type broker struct {
	addr string
	cmd  *exec.Cmd
}

// startMosquitto starts Debian's Mosquitto without persistence, open to all.
func (b *bench) startMosquitto(ctx context.Context) (*broker, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence false\nlog_type error\n", port, host)
	file := filepath.Join(b.dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return nil, err
	}
	m := &broker{addr: addr, cmd: exec.Command(b.mosquitto, "-c", file)}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	if err := m.awaitPort(ctx); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *broker) awaitPort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if c, err := net.Dial("tcp", m.addr); err == nil {
			return c.Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("mosquitto does not listen")
}

func (m *broker) stop() {
	_ = m.cmd.Process.Kill() // nothing of it is kept
	_ = m.cmd.Wait()         // killed
}

// freeAddress gives an address of the loopback that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// loadRow is what mqttload says about one broker.
type loadRow struct {
	Target string  `json:"target"`
	Rate   float64 `json:"messages_per_second"`
	P50    float64 `json:"ack_p50_ms"`
	P99    float64 `json:"ack_p99_ms"`
	Acked  int64   `json:"acked"`
	Stored int64   `json:"stored"`
}

// mqttload runs the load generator and returns its row per target.
func (b *bench) mqttload(ctx context.Context, args ...string) ([]loadRow, error) {
	args = append(args, "-json", "-rounds", strconv.Itoa(b.rounds), "-d", strconv.Itoa(b.seconds)+"s")
	cmd := exec.CommandContext(ctx, b.load, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("mqttload: %w", err)
	}
	var rows []loadRow
	if err := json.Unmarshal(out, &rows); err != nil {
		return nil, fmt.Errorf("output of mqttload: %w", err)
	}
	return rows, nil
}
