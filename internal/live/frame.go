package live

import (
	"encoding/json"
	"strconv"

	"github.com/trefoil-iot/trefoil"
)

// instant is the time of now.
func (h *Hub) instant() trefoil.Instant { return trefoil.InstantOf(h.now()) }

// open begins a frame: {"op":"…","id":"…" without the closing brace.
func open(b []byte, op, id string) []byte {
	b = append(b, `{"op":"`...)
	b = append(b, op...)
	b = append(b, '"')
	if id != "" {
		b = append(b, `,"id":`...)
		b = trefoil.TextValue(id).AppendJSON(b)
	}
	return b
}

func appendSeq(b []byte, seq trefoil.Seq) []byte {
	return strconv.AppendUint(append(b, `,"seq":`...), uint64(seq), 10)
}

func appendTime(b []byte, name string, t trefoil.Instant) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return t.AppendMillis(b)
}

func helloFrame(seq trefoil.Seq, at trefoil.Instant) Frame {
	b := open(nil, "hello", "")
	b = append(b, `,"protocol":"`+Protocol+`"`...)
	b = appendTime(appendSeq(b, seq), "at", at)
	return Frame{Op: "hello", Seq: seq, Data: append(b, '}')}
}

// plainFrame has nothing but its name and perhaps a subscription.
func plainFrame(op, id string) Frame {
	return Frame{Op: op, ID: id, Data: append(open(nil, op, id), '}')}
}

func resetFrame(s *subscription, seq trefoil.Seq) Frame {
	b := append(appendSeq(open(nil, "reset", s.id), seq), '}')
	return Frame{Op: "reset", ID: s.id, Seq: seq, Data: b, sub: s}
}

// errorFrame tells a fault to the viewer; of an error that is not a
// [trefoil.Error] it tells no more than that it is ours.
func errorFrame(id string, err error, devices []trefoil.DeviceID) Frame {
	code, message := trefoil.CodeOf(err), err.Error()
	if code == trefoil.CodeInternal {
		message = "the server failed; its log has the cause"
	}
	data, _ := json.Marshal(struct { // strings always encode
		Op      string             `json:"op"`
		ID      string             `json:"id,omitempty"`
		Code    trefoil.Code       `json:"code"`
		Message string             `json:"message"`
		Devices []trefoil.DeviceID `json:"devices,omitempty"`
	}{"error", id, code, message, devices})
	return Frame{Op: "error", ID: id, Data: data}
}

// appendReadings writes a frame of rows. Its times say how old the oldest row
// is: when its message came, when it was stored, and now.
func appendReadings(b []byte, id string, seq trefoil.Seq, now trefoil.Instant, rows []*row, skipped int) []byte {
	b = appendTime(appendSeq(open(b, "readings", id), seq), "at", now)
	b = appendAge(b, rows)
	b = appendRows(b, rows)
	b = strconv.AppendInt(append(b, `,"skipped":`...), int64(skipped), 10)
	return append(b, '}')
}

func appendAge(b []byte, rows []*row) []byte {
	var received, stored trefoil.Instant
	for _, r := range rows {
		received, stored = earlier(received, r.received), earlier(stored, r.stored)
	}
	if received != 0 {
		b = appendTime(b, "received", received)
	}
	if stored != 0 {
		b = appendTime(b, "stored", stored)
	}
	return b
}

func appendRows(b []byte, rows []*row) []byte {
	b = append(b, `,"rows":[`...)
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.json...)
	}
	return append(b, ']')
}

func appendSnapshot(b []byte, id string, seq trefoil.Seq, now trefoil.Instant, rows []*row, devices []trefoil.Device, skipped int) []byte {
	b = appendTime(appendSeq(open(b, "snapshot", id), seq), "at", now)
	b = appendRows(b, rows)
	b = append(b, `,"devices":[`...)
	for i, d := range devices {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPresence(b, d)
	}
	b = append(b, ']')
	if skipped > 0 {
		b = strconv.AppendInt(append(b, `,"skipped":`...), int64(skipped), 10)
	}
	return append(b, '}')
}

func appendPresence(b []byte, d trefoil.Device) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, d.ID...)
	b = append(b, `","online":`...)
	b = strconv.AppendBool(b, d.Presence.Online)
	b = append(b, `,"reason":`...)
	b = trefoil.TextValue(d.Presence.Reason).AppendJSON(b)
	if d.Presence.Since != 0 {
		b = appendTime(b, "since", d.Presence.Since)
	}
	return append(b, '}')
}

// changeFrames tells of a device: that it is gone, how it is now, or both.
// There is always at least one frame.
func (v *Viewer) changeFrames(s *subscription, c told) []Frame {
	var frames []Frame
	d, here := trefoil.Device{}, false
	if c.present {
		d, here = v.hub.devices.Device(c.device)
	}
	if c.removed || !here { // or it went in this moment
		frames = append(frames, removedFrame(s, c.device))
	}
	if here {
		frames = append(frames, deviceFrame(s, d))
	}
	return frames
}

func removedFrame(s *subscription, id trefoil.DeviceID) Frame {
	b := append(open(nil, "device", s.id), `,"device":{"id":"`...)
	b = append(b, id...)
	return Frame{Op: "device", ID: s.id, Data: append(b, `","removed":true}}`...), sub: s}
}

func deviceFrame(s *subscription, d trefoil.Device) Frame {
	b := append(open(nil, "device", s.id), `,"device":`...)
	b = appendPresence(b, d)
	return Frame{Op: "device", ID: s.id, Data: append(b, '}'), sub: s}
}
