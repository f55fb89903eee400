package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// report is what a run found.
type report struct {
	rounds   int // ends of the server
	starting int // those during a start
	stopped  int // those by SIGTERM
	took     time.Duration
	stored   []storedRow
	received []receivedRow
	faults   []string // the promises that were broken, with numbers
}

// storedRow sums up the publishers of one QoS.
type storedRow struct {
	qos                         byte
	sent, acked                 int
	stored, lost, doubled, torn int
}

// receivedRow sums up what one subscriber got from the publishers of one QoS.
type receivedRow struct {
	version                                    packet.Version
	qos, publishers                            byte // QoS of the subscription, and of the publishers
	sent, received, lost, repeated, outOfOrder int
	unmarked                                   int // came again without DUP
}

// verify compares what was sent with what is in history and what came to the
// subscribers. The clients have ended.
func (r *run) verify(ctx context.Context) (report, error) {
	var out report
	for qos := byte(1); qos <= 2; qos++ {
		row := storedRow{qos: qos}
		for _, p := range r.publishers {
			if p.qos != qos {
				continue
			}
			if err := r.verifyStored(ctx, p, &row, &out); err != nil {
				return out, err
			}
		}
		out.stored = append(out.stored, row)
		for _, s := range r.subscribers {
			out.received = append(out.received, r.verifyReceived(s, qos, &out))
		}
	}
	return out, nil
}

// verifyStored looks for the messages of p in history. The reading without
// a time shows how often a message was stored; the one with a time must be
// there whenever the other is.
func (r *run) verifyStored(ctx context.Context, p *publisher, row *storedRow, out *report) error {
	sent, open := p.state()
	arrivals, err := r.api.History(ctx, p.device, "n")
	if err != nil {
		return err
	}
	measured, err := r.api.History(ctx, p.device, "m")
	if err != nil {
		return err
	}
	times, own := count(arrivals.V), p.onTime(measured)
	unacked := set(open)
	var lost, doubled, torn []int
	for n := 1; n <= sent; n++ {
		if times[n] == 0 && !unacked[n] {
			lost = append(lost, n)
		}
		if times[n] > 1 {
			doubled = append(doubled, n)
		}
		if (times[n] > 0) != own[n] {
			torn = append(torn, n)
		}
	}
	row.sent += sent
	row.acked += sent - len(open)
	row.stored += len(times)
	row.lost += len(lost)
	row.doubled += len(doubled)
	row.torn += len(torn)
	out.broken(p.device, "not acknowledged at the end", open)
	out.broken(p.device, "acknowledged and not stored", lost)
	out.broken(p.device, "stored in part", torn)
	if p.qos == 2 {
		out.broken(p.device, "QoS 2 and stored more than once", doubled)
	}
	return nil
}

// onTime gives the numbers whose reading has the time that p gave it.
func (p *publisher) onTime(measured trefoiltest.Series) map[int]bool {
	has := map[int]bool{}
	for i, v := range measured.V {
		if n := number(v); int64(measured.T[i]) == p.base+int64(n) {
			has[n] = true
		}
	}
	return has
}

func (r *run) verifyReceived(s *subscriber, qos byte, out *report) receivedRow {
	row := receivedRow{version: s.who.version, qos: s.qos, publishers: qos}
	if qos == 2 {
		row.unmarked = len(s.unmarked)
		out.broken(s.who.clientID, "QoS 2 and received again without DUP", s.unmarked)
	}
	for _, p := range r.publishers {
		if p.qos != qos {
			continue
		}
		sent, _ := p.state()
		from := s.from[p.device]
		if from == nil {
			from = &sequence{}
		}
		missing := from.missing
		for n := from.last + 1; n <= sent; n++ {
			missing = append(missing, n)
		}
		row.sent += sent
		row.received += sent - len(missing)
		row.lost += len(missing)
		row.repeated += len(from.repeated)
		row.outOfOrder += len(from.late)
		out.broken(s.who.clientID, "not received from "+p.device, missing)
		out.broken(s.who.clientID, "received out of order from "+p.device, from.late)
		if min(s.qos, qos) == 2 {
			out.broken(s.who.clientID, "QoS 2 and received more than once from "+p.device, from.repeated)
		}
	}
	return row
}

// broken notes a broken promise with the first numbers.
func (r *report) broken(who, how string, numbers []int) {
	const shown = 10
	switch n := len(numbers); {
	case n > shown:
		r.faults = append(r.faults, fmt.Sprintf("%s: %s: %v and %d more", who, how, numbers[:shown], n-shown))
	case n > 0:
		r.faults = append(r.faults, fmt.Sprintf("%s: %s: %v", who, how, numbers))
	}
}

func number(v any) int {
	f, _ := v.(float64) // another type is no number that was sent
	return int(f)
}

func count(values []any) map[int]int {
	times := map[int]int{}
	for _, v := range values {
		times[number(v)]++
	}
	return times
}

func set(numbers []int) map[int]bool {
	has := map[int]bool{}
	for _, n := range numbers {
		has[n] = true
	}
	return has
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%d rounds in %s: %d kills, %d of them during the start, and %d clean stops\n\n",
		r.rounds, r.took.Round(time.Second/10), r.rounds-r.stopped, r.starting, r.stopped)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "publishers\tsent\tacked\tstored\tlost\tdoubled\tin part\t")
	for _, s := range r.stored {
		fmt.Fprintf(t, "QoS %d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", s.qos, s.sent, s.acked, s.stored, s.lost, s.doubled, s.torn)
	}
	_ = t.Flush() // to a terminal or a pipe; there is no one to tell
	fmt.Fprintln(w)
	fmt.Fprintln(t, "subscriber\tpublishers\tsent\treceived\tlost\trepeated\tout of order\tagain without DUP\t")
	for _, s := range r.received {
		name := map[packet.Version]string{packet.V311: "3.1.1", packet.V5: "5.0"}[s.version]
		fmt.Fprintf(t, "%s QoS %d\tQoS %d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			name, s.qos, s.publishers, s.sent, s.received, s.lost, s.repeated, s.outOfOrder, s.unmarked)
	}
	_ = t.Flush() // as above
	if len(r.faults) > 0 {
		fmt.Fprintf(w, "\nbroken promises:\n  %s\n", strings.Join(r.faults, "\n  "))
	}
}
