package artifactory

import (
	"fmt"
	"net/http"
	"strings"
)

// transfer is one copy or move, checked and ready.
type transfer struct {
	move    bool
	by      *Token
	from    address
	to      address // the final name, nesting decided
	source  *node   // looked up unless given
	trusted bool    // the source may be read from although it is a service's own
}

type messages struct {
	Messages []message `json:"messages"`
}

type message struct {
	Level   string `json:"level"`
	Message string `json:"message"`
}

func (s *Server) copyItem(w http.ResponseWriter, _ *http.Request, c call) error {
	return s.transfer(w, c, false)
}

func (s *Server) moveItem(w http.ResponseWriter, _ *http.Request, c call) error {
	return s.transfer(w, c, true)
}

// transfer answers POST api/copy and api/move. It does all or nothing, whatever failFast says; files beside a copied
// file stay where they are.
func (s *Server) transfer(w http.ResponseWriter, c call, move bool) error {
	to, dry, err := transferCall(c)
	if err != nil {
		return err
	}
	right := byte('r')
	if move {
		right = 'd'
	}
	if err := permission(c.by, c.at.repo, right); err != nil {
		return err
	}
	if to.repo, err = s.deployTarget(to.repo); err != nil {
		return err
	}
	if err := permission(c.by, to.repo, 'w'); err != nil {
		return err
	}
	s.mu.Lock()
	t, err := s.plan(transfer{move: move, by: c.by, from: c.at, to: to})
	if err != nil {
		s.mu.Unlock()
		return err
	}
	var events []Event
	if !dry {
		events, err = s.perform(t)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.emit(events...)
	respond(w, http.StatusOK, messages{[]message{{"INFO", t.report(dry)}}})
	return nil
}

// transferCall reads ?to=/repo/path&dry=1 and checks the target as any path.
func transferCall(c call) (to address, dry bool, err error) {
	raw := ""
	for _, q := range c.query {
		switch q.key {
		case "to":
			raw = q.value
		case "dry":
			dry = q.value == "1"
		case "suppressLayouts", "failFast": // no layouts here; always all or nothing
		default:
			return address{}, false, unsupported("the query parameter %q is not implemented here", q.key)
		}
	}
	raw = strings.TrimPrefix(raw, "/")
	if bare, ok := strings.CutSuffix(raw, "/"); ok {
		to.folder, raw = true, bare
	}
	segs := strings.Split(raw, "/")
	for _, seg := range segs {
		if err := checkSegment(seg); err != nil {
			return address{}, false, err
		}
	}
	to.repo, to.path = segs[0], segs[1:]
	if len(c.at.path) == 0 {
		return address{}, false, unsupported("copying or moving a whole repository is not implemented")
	}
	return to, dry, nil
}

// plan finds the source, decides about nesting and checks what can go wrong. Callers hold s.mu.
func (s *Server) plan(t transfer) (transfer, error) {
	var err error
	if err := s.writable(t.from.repo, t.move); err != nil {
		return t, err
	}
	if t.source == nil {
		if t.source, err = s.find(t.from); err != nil {
			return t, err
		}
	}
	target, err := s.repository(t.to.repo)
	if err != nil {
		return t, err
	}
	if from := s.repos[t.from.repo].PackageType; !t.trusted && from != target.PackageType && target.PackageType != "generic" {
		return t, refuse(http.StatusConflict, "'%s' holds %s, '%s' holds %s", t.from.repo, from, t.to.repo, target.PackageType)
	}
	// As cp and mv do: onto an existing folder means into it.
	there := target.root.at(t.to.path)
	if (there != nil && !there.isFile()) || (t.to.folder && t.source.isFile()) {
		t.to.path = append(t.to.path[:len(t.to.path):len(t.to.path)], t.source.name)
	}
	if t.to.repo == t.from.repo && strings.HasPrefix(t.to.below()+"/", t.from.below()+"/") {
		return t, refuse(http.StatusConflict, "'%s' cannot be copied or moved onto or into itself", t.from)
	}
	return t, s.mayTransfer(t, target)
}

// mayTransfer checks every file's target: overwriting needs delete rights.
func (s *Server) mayTransfer(t transfer, target *repository) error {
	var err error
	t.source.walk(t.to.path, func(path []string, n *node) {
		for i := 1; i < len(path); i++ {
			if dir := target.root.at(path[:i]); dir != nil && dir.isFile() {
				err = refuse(http.StatusConflict, "'%s/%s' is a file", t.to.repo, strings.Join(path[:i], "/"))
			}
		}
		switch old := target.root.at(path); {
		case old == nil:
		case old.isFile() != n.isFile():
			err = refuse(http.StatusConflict, "'%s/%s' is of another kind than its source", t.to.repo, strings.Join(path, "/"))
		case !old.isFile() || t.by.allows(t.to.repo, 'd') || (s.Quirks().SameBytes == "allow" && old.blob == n.blob):
		default:
			err = refuse(http.StatusForbidden, "Not enough permissions to overwrite '%s/%s'", t.to.repo, strings.Join(path, "/"))
		}
	})
	return err
}

// perform does what was planned and tells what happened. Callers hold s.mu for writing.
func (s *Server) perform(t transfer) ([]Event, error) {
	now := s.now()
	root := s.repos[t.to.repo].root
	kind := "copied"
	if t.move {
		kind = "moved"
	}
	var events []Event
	var failed error
	t.source.walk(nil, func(below []string, n *node) {
		path := append(t.to.path[:len(t.to.path):len(t.to.path)], below...)
		if !n.isFile() {
			dir, err := root.folderAt(path, t.by.User, now)
			if err != nil {
				failed = err
				return
			}
			dir.props = merged(dir.props, s.following(t, n))
			return
		}
		last := len(path) - 1
		dir, err := root.folderAt(path[:last], t.by.User, now)
		if err != nil {
			failed = err
			return
		}
		fresh := *n
		fresh.name, fresh.props = path[last], s.following(t, n)
		if !t.move {
			fresh.created, fresh.createdBy = now, t.by.User
		}
		s.blobs.hold(n.blob)
		if old := dir.attach(&fresh); old != nil {
			events = append(events, artifactEvent("deleted", t.to.repo, path, old.blob, t.by))
			s.blobs.release(old.blob)
		}
		source := append(t.from.path[:len(t.from.path):len(t.from.path)], below...)
		s.evidenceFollows(address{repo: t.from.repo, path: source}, address{repo: t.to.repo, path: path}, t.by)
		e := artifactEvent(kind, t.from.repo, source, n.blob, t.by)
		e.Target = t.to.repo + "/" + strings.Join(path, "/")
		events = append(events, e)
	})
	if failed == nil && t.move {
		t.source.detach()
		s.drop(t.source)
	}
	return events, failed
}

// following is what of the source's properties goes along; a release bundle always keeps its own.
func (s *Server) following(t transfer, n *node) map[string][]string {
	if s.Quirks().Copied == "drop" && !t.trusted {
		return nil
	}
	return n.props
}

func (t transfer) report(dry bool) string {
	files, folders := 0, 0
	t.source.walk(nil, func(_ []string, n *node) {
		if n.isFile() {
			files++
		} else {
			folders++
		}
	})
	doing, done := "copying", "copied"
	if t.move {
		doing, done = "moving", "moved"
	}
	if dry {
		doing = "Dry Run for " + doing
	}
	return fmt.Sprintf("%s %s:%s to %s:%s completed successfully, %d artifacts and %d folders were %s",
		doing, t.from.repo, t.from.below(), t.to.repo, t.to.below(), files, folders, done)
}
