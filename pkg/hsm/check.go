package hsm

import (
	"fmt"
)

// Check is one step on the way to a usable key, as 'hallmark doctor' prints it.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`        // what was seen
	Fix    string `json:"fix,omitempty"` // what to do when not OK
}

// Problem is the step that failed, with its cause and what to do. It wraps the cause.
type Problem struct {
	Step string // the Check's name
	Err  error
	Fix  string
}

// Error names the step, the cause and the fix on one line.
func (p *Problem) Error() string {
	if p.Fix == "" {
		return fmt.Sprintf("%s: %v", p.Step, p.Err)
	}
	return fmt.Sprintf("%s: %v; fix: %s", p.Step, p.Err, p.Fix)
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Err }

// trail gathers the steps in the order they were taken.
type trail struct {
	subject string // "token hsm" or "key release-2026"
	checks  []Check
}

func (t *trail) pass(step, format string, args ...any) {
	t.checks = append(t.checks, Check{Name: t.subject + ": " + step, OK: true, Detail: fmt.Sprintf(format, args...)})
}

// fail records the failing step and returns it as an error.
func (t *trail) fail(step string, err error, format string, args ...any) error {
	p := &Problem{Step: t.subject + ": " + step, Err: err, Fix: fmt.Sprintf(format, args...)}
	t.checks = append(t.checks, Check{Name: p.Step, Detail: err.Error(), Fix: p.Fix})
	return p
}

// The steps.
const (
	stepModule = "module loads"
	stepSlots  = "slots and tokens seen"
	stepToken  = "token found"
	stepPIN    = "PIN accepted"
	stepKey    = "key found exactly once"
	stepSPKI   = "pinned public key matches"
	stepProbe  = "test signature verifies"
)
