package trefoil

import (
	"errors"
	"fmt"
)

// Code says what kind of fault an [Error] is. Every transport has one table
// from codes to its own statuses; codes are stable and part of the API.
type Code string

// The codes.
const (
	CodeInvalid      Code = "invalid"      // the request cannot be right, whenever it is sent
	CodeUnauthorized Code = "unauthorized" // no or wrong credentials
	CodeForbidden    Code = "forbidden"    // known caller, not allowed
	CodeNotFound     Code = "not_found"    // no such object
	CodeConflict     Code = "conflict"     // contradicts what is stored
	CodePrecondition Code = "precondition" // If-Match or the like did not hold
	CodeTooLarge     Code = "too_large"    // above a size limit, which the message names
	CodeTooMany      Code = "too_many"     // above a count or rate limit, which the message names
	CodeUnavailable  Code = "unavailable"  // the store or a queue cannot take it now; try again
	CodeInternal     Code = "internal"     // our fault; the cause is in the log
)

// Error is a fault with a code and a sentence that the caller may see. Cause,
// if any, is for the log only.
type Error struct {
	Code    Code
	Message string
	Cause   error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an [Error] with a formatted message. A %w operand becomes the
// cause as with fmt.Errorf and is then part of the public message.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Cause: nil}
}

// CodeOf gives the code of err: the code of the first [Error] in its chain,
// "" for nil, and [CodeInternal] for anything else.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	default:
		return CodeInternal
	}
}
