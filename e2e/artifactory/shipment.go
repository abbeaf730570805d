package artifactory

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
)

// shipment is what a promotion carries: files, one after the other, each for itself. What was carried before a failure
// stays carried, unless the quirk PromotionAbort has all of it checked first.
type shipment struct {
	by         *Token
	move       bool // else copy
	dry        bool
	failFast   bool // stop at the first failure, and fail
	target     string
	properties map[string][]string // set on what arrived
	service    bool                // the source is a service's own repository, which may be read from
	create     bool                // a target path that holds something fails, the same perhaps not, see the quirk
	items      []cargo

	report []message
	done   int
	status int // of the first failure
}

// cargo is one file and its path in the target, or in a repository of its own; without a file it is known to be missing.
type cargo struct {
	file    *node
	to      []string
	repo    string // default: the shipment's target
	keep    bool   // copied although the others move
	missing string
}

func (j *shipment) add(f *node, to []string) { j.items = append(j.items, cargo{file: f, to: to}) }

func (j *shipment) miss(why string) { j.items = append(j.items, cargo{missing: why}) }

func (j *shipment) say(level, format string, args ...any) {
	j.report = append(j.report, message{level, fmt.Sprintf(format, args...)})
}

func (j *shipment) fail(status int, format string, args ...any) {
	if j.status == 0 {
		j.status = status
	}
	j.say("ERROR", format, args...)
}

// failed is the status to refuse with, 0 when the shipment counts as done.
func (j *shipment) failed() int {
	if j.failFast {
		return j.status
	}
	return 0
}

// Interrupt calls f before a promotion carries each file, with what the file is and where it goes; an error fails that
// file. It is for failures half way, and for surprises between two files; nil ends it. No lock is held.
func (s *Server) Interrupt(f func(from, to string) error) { s.interrupt.Store(&f) }

// ship carries everything and announces it as it goes.
func (s *Server) ship(j *shipment) {
	if s.Quirks().PromotionAbort == "none" && !j.dry {
		trial := *j
		trial.dry, trial.report = true, nil
		if s.ship(&trial); trial.failed() != 0 {
			j.status, j.report = trial.status, trial.report
			return
		}
	}
	for _, item := range j.items {
		if item.missing != "" {
			j.fail(http.StatusNotFound, "%s", item.missing)
		} else {
			s.carryOne(j, item)
		}
		if j.failed() != 0 {
			return
		}
	}
}

func (s *Server) carryOne(j *shipment, item cargo) {
	t := transfer{move: j.move && !item.keep, by: j.by, source: item.file, from: item.file.address(), to: address{repo: cmp.Or(item.repo, j.target), path: item.to}, trusted: j.service}
	events, err := s.carry(t, j)
	if s.Quirks().PromotionEvents != "promoted" {
		s.emit(events...)
	}
	switch status := asRefusal(err); {
	case err == nil:
		j.done++
		verb := "copied"
		if t.move {
			verb = "moved"
		}
		if j.dry {
			verb = "would be " + verb
		}
		j.say("INFO", "%s %s to %s", t.from, verb, t.to)
	case status == 0:
		j.fail(http.StatusInternalServerError, "%s to %s: %v", t.from, t.to, err)
	default:
		j.fail(status, "%s to %s: %v", t.from, t.to, err)
	}
}

// carry is one file: rights, plan, deed, properties.
func (s *Server) carry(t transfer, j *shipment) ([]Event, error) {
	if f := s.interrupt.Load(); f != nil && *f != nil && !j.dry {
		if err := (*f)(t.from.String(), t.to.String()); err != nil {
			return nil, refuse(http.StatusInternalServerError, "%v", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.source.gone {
		return nil, refuse(http.StatusNotFound, "Unable to find item '%s'", t.from)
	}
	if err := s.mayCarry(t, len(j.properties) > 0); err != nil {
		return nil, err
	}
	if j.create {
		if old, err := s.find(t.to); err == nil {
			if s.Quirks().BundleOverEqual == "allow" && old.blob == t.source.blob {
				return nil, nil
			}
			return nil, refuse(http.StatusConflict, "'%s' exists", t.to)
		}
	}
	t, err := s.plan(t)
	if err != nil || j.dry {
		return nil, err
	}
	events, err := s.perform(t)
	if err == nil && len(j.properties) > 0 {
		n, ferr := s.find(t.to)
		if ferr != nil {
			return events, ferr
		}
		events = append(events, propertyEvents(t.to, n, j.properties, nil, t.by)...)
		n.change(j.properties, nil)
	}
	return events, err
}

func (s *Server) mayCarry(t transfer, annotate bool) error {
	source := byte('r')
	if t.move {
		source = 'd'
	}
	if !t.trusted {
		if err := permission(t.by, t.from.repo, source); err != nil {
			return err
		}
	}
	if err := permission(t.by, t.to.repo, 'w'); err != nil {
		return err
	}
	if annotate {
		return permission(t.by, t.to.repo, 'a')
	}
	return nil
}

// address is where the item lies.
func (n *node) address() address {
	if p := n.path(); p != "" {
		return address{repo: n.repo.Key, path: strings.Split(p, "/")}
	}
	return address{repo: n.repo.Key}
}

// emitService announces files that a service stores for itself.
func (s *Server) emitService(e ...Event) {
	if s.Quirks().ServiceFiles != "silent" {
		s.emit(e...)
	}
}
