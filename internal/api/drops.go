package api

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
)

// Ledger knows what was received, stored and dropped.
type Ledger interface {
	Drop(d trefoil.Drop)
	Of(id trefoil.DeviceID) (ingest.Counts, []trefoil.Drop)
}

type dropDoc struct {
	Reason  trefoil.DropReason `json:"reason" doc:"Stable, for programs"`
	Dropped bool               `json:"dropped" doc:"False for a note about something that was stored all the same"`
	Count   int64              `json:"count" doc:"Messages"`
	Time    time.Time          `json:"time" doc:"Of the latest one"`
	Topic   string             `json:"topic,omitempty" doc:"Topic or path of the latest one"`
	Detail  string             `json:"detail,omitempty" doc:"What was wrong with the latest one"`
	Sample  string             `json:"sample,omitempty" doc:"Beginning of the latest payload, as text or in hexadecimal"`
}

type dropsOutput struct {
	Body dropsDoc
}

type dropsDoc struct {
	Items    []dropDoc `json:"items" nullable:"false" doc:"The latest first"`
	Received int64     `json:"received" doc:"Messages; always stored + dropped"`
	Stored   int64     `json:"stored"`
	Dropped  int64     `json:"dropped"`
}

func (s *server) drops(_ context.Context, in *devicePath) (*dropsOutput, error) {
	d, err := s.Devices.Find(in.ID)
	if err != nil {
		return nil, err
	}
	counts, drops := s.Ledger.Of(d.ID)
	out := &dropsOutput{}
	out.Body.Received, out.Body.Stored, out.Body.Dropped = counts.Received, counts.Stored, counts.Dropped
	out.Body.Items = make([]dropDoc, len(drops))
	for i, drop := range drops {
		out.Body.Items[i] = dropDoc{
			Reason: drop.Reason, Dropped: drop.Reason.Dropped(), Count: drop.Count, Time: drop.Time.Time(),
			Topic: drop.Topic, Detail: drop.Detail, Sample: sampleText(drop.Sample),
		}
	}
	return out, nil
}

// sampleText shows text as it is, without a character that was cut in half at
// the end of a full sample, and everything else in hexadecimal.
func sampleText(b []byte) string {
	text := b
	for i := 0; i < utf8.UTFMax-1 && len(b) == trefoil.MaxSample && !utf8.Valid(text); i++ {
		text = text[:len(text)-1]
	}
	if utf8.Valid(text) {
		return string(text)
	}
	return hexText(b)
}

func hexText(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 3*len(b))
	for i, c := range b {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
