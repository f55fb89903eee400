package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/storage"
)

// Storage knows where the disk goes.
type Storage interface {
	Report(ctx context.Context) (storage.Report, error)
	// Rules are the retention in force, those of the server first.
	Rules() []RetentionRule
	// Backup tells about the schedule of backups.
	Backup() BackupInfo
}

// Copier copies the database while it is used. An error before open was
// called leaves nothing written.
type Copier interface {
	Copy(ctx context.Context, open func(size int64) (io.Writer, error)) error
}

// RetentionRule says how long readings are kept.
type RetentionRule struct {
	Profile string `json:"profile,omitempty" doc:"Empty for the server's setting"`
	Metric  string `json:"metric,omitempty" doc:"Empty for all metrics of the profile that have no rule of their own"`
	Raw     string `json:"raw" example:"90d" doc:"The readings"`
	Hourly  string `json:"hourly" example:"5y" doc:"Summaries of hours, when the readings are gone"`
}

// BackupInfo tells about the schedule of backups.
type BackupInfo struct {
	Directory string     `json:"directory,omitempty" doc:"Empty when there is no schedule"`
	Every     string     `json:"every,omitempty" example:"24h"`
	Keep      int        `json:"keep,omitempty"`
	Last      *time.Time `json:"last,omitempty" doc:"When the latest one was made"`
	LastBytes int64      `json:"lastBytes,omitempty"`
	Fault     string     `json:"fault,omitempty" doc:"Why the latest try failed"`
}

type storageDoc struct {
	Engine          string          `json:"engine" example:"sqlite"`
	Bytes           int64           `json:"bytes" doc:"Of the database on disk, everything included"`
	Reusable        int64           `json:"reusable" doc:"Of these, free inside of the database; new readings fill it first"`
	Series          int64           `json:"series"`
	Readings        int64           `json:"readings"`
	BytesPerReading float64         `json:"bytesPerReading" doc:"Everything included; 0 without readings"`
	Oldest          *time.Time      `json:"oldest,omitempty" doc:"Of the readings, about"`
	Disk            *diskDoc        `json:"disk,omitempty" doc:"Left out where the database is on another machine"`
	GrowthPerDay    float64         `json:"growthPerDay" doc:"Bytes, mean of the last two weeks; 0 before the second day"`
	FullInDays      *float64        `json:"fullInDays,omitempty" doc:"Until the disk is full at this growth; left out while that is not known"`
	Tables          []tableDoc      `json:"tables" nullable:"false" doc:"The largest first"`
	Days            []dayDoc        `json:"days" nullable:"false" doc:"Size at the end of each day, the last one now; at most a year"`
	Retention       []RetentionRule `json:"retention" nullable:"false" doc:"In force, the server's setting first"`
	Dropped         []retainedDoc   `json:"dropped" nullable:"false" doc:"What retention removed, the latest first, at most 50"`
	Backup          BackupInfo      `json:"backup"`
}

type diskDoc struct {
	Total int64   `json:"total" doc:"Bytes"`
	Free  int64   `json:"free" doc:"Bytes"`
	Limit float64 `json:"limit" doc:"Share above which the oldest months go; 0: never"`
}

type tableDoc struct {
	Name     string     `json:"name"`
	Bytes    int64      `json:"bytes"`
	Readings int64      `json:"readings,omitempty"`
	From     *time.Time `json:"from,omitempty" doc:"Of a partition of readings"`
	To       *time.Time `json:"to,omitempty" doc:"Exclusive"`
}

type dayDoc struct {
	Day      string `json:"day" format:"date" example:"2026-11-22"`
	Bytes    int64  `json:"bytes"`
	Reusable int64  `json:"reusable"`
	Readings int64  `json:"readings"`
	Free     int64  `json:"free" doc:"Of the disk"`
}

type retainedDoc struct {
	Time     time.Time `json:"time" doc:"When it was removed"`
	Reason   string    `json:"reason" enum:"age,disk,late" doc:"Older than it is to be kept; the disk was too full; came for a time of which only summaries are kept"`
	What     string    `json:"what" enum:"all,raw" doc:"raw: summaries of hours are left"`
	From     time.Time `json:"from" doc:"Readings of this time"`
	To       time.Time `json:"to" doc:"Exclusive"`
	Series   int64     `json:"series"`
	Readings int64     `json:"readings"`
	Bytes    int64     `json:"bytes"`
}

type storageOutput struct{ Body storageDoc }

func (s *server) storage(ctx context.Context, _ *struct{}) (*storageOutput, error) {
	r, err := s.Storage.Report(ctx)
	if err != nil {
		return nil, err
	}
	doc := storageDoc{
		Engine: r.Engine, Bytes: r.Stats.Bytes, Reusable: r.Reusable, Series: r.Series, Readings: r.Stats.Readings,
		BytesPerReading: r.BytesPerReading(), Oldest: timeOrNil(r.Oldest), GrowthPerDay: r.Growth,
		Tables: make([]tableDoc, len(r.Tables)), Days: make([]dayDoc, len(r.Days)), Dropped: make([]retainedDoc, len(r.Dropped)),
		Retention: append([]RetentionRule{}, s.Storage.Rules()...), Backup: s.Storage.Backup(),
	}
	if r.Disk.Total > 0 {
		doc.Disk = &diskDoc{Total: r.Disk.Total, Free: r.Disk.Free, Limit: s.MaxDisk}
	}
	if days, ok := r.FullIn(); ok {
		doc.FullInDays = &days
	}
	for i, t := range r.Tables {
		doc.Tables[i] = tableDoc{Name: t.Name, Bytes: t.Bytes, Readings: t.Readings, From: timeOrNil(t.From), To: timeOrNil(t.To)}
	}
	for i, d := range r.Days {
		doc.Days[i] = dayDoc{Day: d.Day.Format(time.DateOnly), Bytes: d.Bytes, Reusable: d.Reusable, Readings: d.Readings, Free: d.Disk.Free}
	}
	for i, d := range r.Dropped {
		doc.Dropped[i] = retainedDoc{
			Time: d.Time.Time(), Reason: string(d.Reason), What: string(d.What), From: d.From.Time(), To: d.To.Time(),
			Series: d.Series, Readings: d.Readings, Bytes: d.Bytes,
		}
	}
	return &storageOutput{Body: doc}, nil
}

// timeOrNil leaves out the zero time.
func timeOrNil(t trefoil.Instant) *time.Time {
	if t == 0 {
		return nil
	}
	at := t.Time()
	return &at
}

// backupPatience is how long a client may take for one piece of a backup: the
// write-ahead log grows as long as it lasts.
const backupPatience = 30 * time.Second

func backupOperation(op *huma.Operation) {
	op.Description = "A file that the server can be started with, see trefoil restore. It is the database as it was when the request came; the server goes on meanwhile."
}

func backupAnswer(op *huma.Operation) {
	op.Responses["200"].Content = map[string]*huma.MediaType{backupType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}
}

const backupType = "application/vnd.sqlite3"

// backup streams a copy of the database.
func (s *server) backup(w http.ResponseWriter, r *http.Request) error {
	if s.Copier == nil {
		return trefoil.Errorf(trefoil.CodeUnavailable, "the database is PostgreSQL; make backups of it with pg_dump")
	}
	begun := false
	err := s.Copier.Copy(r.Context(), func(size int64) (io.Writer, error) {
		begun = true
		h := w.Header()
		h.Set("Content-Type", backupType)
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		h.Set("Content-Disposition", `attachment; filename="trefoil-`+s.Now().UTC().Format("20060102-150405")+`.db"`)
		return &patient{w, http.NewResponseController(w)}, nil
	})
	if err != nil && begun && !errors.Is(err, context.Canceled) {
		s.Log.Warn("a backup was not sent to its end", "error", err)
		panic(http.ErrAbortHandler) // the client must not take it for whole
	}
	return err
}

// patient gives each write some time.
type patient struct {
	w       io.Writer
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(backupPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}
