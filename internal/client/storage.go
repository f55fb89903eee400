package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Storage is where the disk of a server goes.
type Storage struct {
	Engine          string     `json:"engine"`
	Bytes           int64      `json:"bytes"`
	Reusable        int64      `json:"reusable"`
	Series          int64      `json:"series"`
	Readings        int64      `json:"readings"`
	BytesPerReading float64    `json:"bytesPerReading"`
	Oldest          *time.Time `json:"oldest,omitempty"`
	Disk            *struct {
		Total int64   `json:"total"`
		Free  int64   `json:"free"`
		Limit float64 `json:"limit"`
	} `json:"disk,omitempty"`
	GrowthPerDay float64  `json:"growthPerDay"`
	FullInDays   *float64 `json:"fullInDays,omitempty"`
	Tables       []struct {
		Name     string     `json:"name"`
		Bytes    int64      `json:"bytes"`
		Readings int64      `json:"readings,omitempty"`
		From     *time.Time `json:"from,omitempty"`
	} `json:"tables"`
	Retention []struct {
		Profile string `json:"profile,omitempty"`
		Metric  string `json:"metric,omitempty"`
		Raw     string `json:"raw"`
		Hourly  string `json:"hourly"`
	} `json:"retention"`
	Dropped []struct {
		Time     time.Time `json:"time"`
		Reason   string    `json:"reason"`
		What     string    `json:"what"`
		From     time.Time `json:"from"`
		To       time.Time `json:"to"`
		Readings int64     `json:"readings"`
	} `json:"dropped"`
	Backup struct {
		Directory string     `json:"directory,omitempty"`
		Every     string     `json:"every,omitempty"`
		Keep      int        `json:"keep,omitempty"`
		Last      *time.Time `json:"last,omitempty"`
		Fault     string     `json:"fault,omitempty"`
	} `json:"backup"`
}

// Storage tells where the disk goes.
func (c *Client) Storage(ctx context.Context) (s Storage, err error) {
	err = c.call(ctx, http.MethodGet, "/api/v1/storage", nil, nil, &s)
	return s, err
}

// Backup writes a copy of the server's database to w, and tells progress of
// its size before and after each piece.
func (c *Client) Backup(ctx context.Context, w io.Writer, progress func(done, size int64)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address("/api/v1/backup", nil), nil)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept-Encoding", "identity") // with it the size is known from the beginning
	patient := *c.http
	patient.Timeout = 0 // it takes as long as it takes
	resp, err := patient.Do(req)
	if err != nil {
		return &Unreachable{c.Server(), err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status says enough without it
		if resp.StatusCode == http.StatusUnauthorized && c.token == "" {
			return c.notLoggedIn()
		}
		return refusal(resp, answer)
	}
	done := int64(0)
	progress(0, resp.ContentLength)
	_, err = io.Copy(w, io.TeeReader(resp.Body, counter(func(n int) {
		done += int64(n)
		progress(done, resp.ContentLength)
	})))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil && done != resp.ContentLength:
		return trefoil.Errorf(trefoil.CodeUnavailable, "the server broke off after %d of %d bytes; its log says why", done, resp.ContentLength)
	case err != nil:
		return fmt.Errorf("receive the backup: %w", err)
	}
	return nil
}

type counter func(n int)

func (c counter) Write(b []byte) (int, error) {
	c(len(b))
	return len(b), nil
}
