package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

const mb = 1e6

// start measures the process by itself: size, time to ready, memory.
func (b *bench) start(ctx context.Context) error {
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	b.report.atMost("binary", float64(info.Size())/mb, 40, "MB", "")
	var first, again, memory []float64
	for range b.rounds {
		s, dir, err := b.server(ctx)
		if err != nil {
			return err
		}
		first = append(first, milliseconds(s.ReadyIn))
		if err := s.Stop(ctx); err != nil {
			return err
		}
		if s, err = b.serverOn(ctx, dir); err != nil {
			return err
		}
		again = append(again, milliseconds(s.ReadyIn))
		time.Sleep(2 * time.Second) // idle
		rss, err := resident(s.PID)
		if err := errors.Join(err, s.Stop(ctx)); err != nil {
			return err
		}
		memory = append(memory, rss/mb)
	}
	b.report.atMost("ready, first start", median(first), 300, "ms", "makes the database and the administrator")
	b.report.atMost("ready", median(again), 300, "ms", "")
	b.report.atMost("idle process", median(memory), 40, "MB", "resident")
	return nil
}

// ingest measures how many messages are acknowledged, next to Mosquitto.
func (b *bench) ingest(ctx context.Context) error {
	s, _, err := b.server(ctx)
	if err != nil {
		return err
	}
	defer s.Kill()
	m, err := b.startMosquitto(ctx)
	if err != nil {
		return err
	}
	defer m.stop()
	for _, load := range []struct {
		window int
		goal   float64
	}{{1, 0.7}, {20, 1.1}} {
		rows, err := b.mqttload(ctx, "-target", "trefoil="+s.MQTT, "-register", s.URL(""), "-admin-password", trefoiltest.AdminPassword,
			"-check", "-target", "mosquitto="+m.addr, "-c", "200", "-w", strconv.Itoa(load.window))
		if err != nil {
			return err
		}
		ours, theirs := rows[0], rows[1]
		if ours.Stored < ours.Acked {
			err = fmt.Errorf("acked %d messages and stored %d", ours.Acked, ours.Stored)
		}
		b.report.ratio(fmt.Sprintf("durable QoS 1, 200 connections, %d in flight", load.window), ours.Rate, theirs.Rate, load.goal,
			fmt.Sprintf("p50 %s p99 %s ms; Mosquitto %s msg/s; acked %d, stored %d",
				rounded(ours.P50), rounded(ours.P99), rounded(theirs.Rate), ours.Acked, ours.Stored))
		if err != nil {
			return err
		}
	}
	return s.Stop(ctx)
}

// latency measures how soon an ack comes at a steady rate.
func (b *bench) latency(ctx context.Context) error {
	s, _, err := b.server(ctx)
	if err != nil {
		return err
	}
	defer s.Kill()
	rows, err := b.mqttload(ctx, "-target", "trefoil="+s.MQTT, "-register", s.URL(""), "-admin-password", trefoiltest.AdminPassword,
		"-c", "1000", "-rate", "10000")
	if err != nil {
		return err
	}
	b.report.atMost("PUBACK p99, 10,000 msg/s from 1,000 connections", rows[0].P99, 5, "ms",
		fmt.Sprintf("p50 %s ms at %s msg/s", rounded(rows[0].P50), rounded(rows[0].Rate)))
	return s.Stop(ctx)
}

// idleConnections measures what 10,000 connections cost in memory.
func (b *bench) idleConnections(ctx context.Context) error {
	s, _, err := b.server(ctx)
	if err != nil {
		return err
	}
	defer s.Kill()
	admin, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	d, err := admin.CreateDevice(ctx, "idle")
	if err != nil {
		return err
	}
	ours, err := b.mqttidle(ctx, "-addr", s.MQTT, "-pid", strconv.Itoa(s.PID), "-user", d.ID, "-token", d.Token)
	if err != nil {
		return err
	}
	if err := s.Stop(ctx); err != nil {
		return err
	}
	m, err := b.startMosquitto(ctx)
	if err != nil {
		return err
	}
	defer m.stop()
	theirs, err := b.mqttidle(ctx, "-addr", m.addr, "-pid", strconv.Itoa(m.cmd.Process.Pid))
	if err != nil {
		return err
	}
	b.report.atMost("memory per idle connection", ours, 6, "KB", fmt.Sprintf("10,000 connections; Mosquitto %s KB", rounded(theirs)))
	return nil
}

// mqttidle opens idle connections and returns kilobytes per connection.
func (b *bench) mqttidle(ctx context.Context, args ...string) (float64, error) {
	cmd := exec.CommandContext(ctx, b.idle, append(args, "-n", "10000")...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("mqttidle: %w", err)
	}
	// "10000 connections in 1.2s; resident 1 KiB -> 2 KiB; 5.60 KB per connection"
	fields := strings.Fields(string(out))
	if len(fields) < 4 {
		return 0, fmt.Errorf("mqttidle says %q", out)
	}
	return strconv.ParseFloat(fields[len(fields)-4], 64)
}
