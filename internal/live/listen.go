package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil"
)

// order is a frame from a viewer.
type order struct {
	Op string `json:"op"`
	Request
}

// listen reads what the viewer wants until the connection ends. A frame that
// is wrong gets an error, and the connection stays.
func listen(ctx context.Context, v *Viewer, conn *websocket.Conn) {
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return // closed, broken, or a frame too large: the library has answered that
		}
		if kind != websocket.MessageText {
			err = v.answer(ctx, errorFrame("", trefoil.Errorf(trefoil.CodeInvalid, "a binary frame; send JSON in text frames"), nil))
		} else {
			err = v.answerTo(ctx, data)
		}
		if err != nil {
			return
		}
	}
}

// answerTo does what a frame asks for and puts the answer on its way, if it
// is one that does not come by itself.
func (v *Viewer) answerTo(ctx context.Context, data []byte) error {
	o, err := parseOrder(data)
	if err == nil {
		err = v.obey(ctx, o)
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	var unknown *UnknownDevices
	var ids []trefoil.DeviceID
	if errors.As(err, &unknown) {
		ids = unknown.IDs[:min(len(unknown.IDs), maxNamed)]
	}
	return v.answer(ctx, errorFrame(o.ID, err, ids))
}

// maxNamed is how many unknown devices an error names.
const maxNamed = 100

func (v *Viewer) obey(ctx context.Context, o order) error {
	switch o.Op {
	case "subscribe":
		return v.Subscribe(o.Request)
	case "unsubscribe":
		if err := v.Unsubscribe(o.ID); err != nil {
			return err
		}
		return v.answer(ctx, plainFrame("unsubscribed", o.ID))
	case "ping":
		return v.answer(ctx, plainFrame("pong", ""))
	default:
		return trefoil.Errorf(trefoil.CodeInvalid, `unknown "op" %.40q; allowed are subscribe, unsubscribe and ping`, o.Op)
	}
}

// parseOrder reads a frame strictly: a misspelt "metric" must not become a
// subscription to everything. With an error it gives the id if it could be
// read, so that the answer can name it.
func parseOrder(data []byte) (order, error) {
	var o order
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&o)
	if err == nil && d.More() {
		err = errors.New("more than one JSON value in a frame")
	}
	if err == nil {
		return o, nil
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		err = trefoil.Errorf(trefoil.CodeInvalid, "%q cannot be a %s", strings.TrimPrefix(wrong.Field, "Request."), wrong.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = trefoil.Errorf(trefoil.CodeInvalid, "the frame is not complete JSON")
	default:
		err = trefoil.Errorf(trefoil.CodeInvalid, "the frame is not as it should be: %w", err)
	}
	var named struct {
		ID any `json:"id"`
	}
	_ = json.Unmarshal(data, &named) // what can be read of a frame that is wrong anyway
	id, _ := named.ID.(string)
	return order{Request: Request{ID: id[:min(len(id), maxID)]}}, err
}
