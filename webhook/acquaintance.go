package webhook

import "sync"

// acquaintance remembers which unknown types of events this process has met, so that each is told once.
type acquaintance struct {
	mu   sync.Mutex
	seen map[[2]string]struct{}
}

// acquaintances bounds what senders can have us remember. Real ones send a few types.
const acquaintances = 256

// first reports whether the type is met for the first time; when too many were met, it never is.
func (a *acquaintance) first(domain, typ string) bool {
	key := [2]string{short(domain), short(typ)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.seen[key]; ok || len(a.seen) >= acquaintances {
		return false
	}
	if a.seen == nil {
		a.seen = make(map[[2]string]struct{})
	}
	a.seen[key] = struct{}{}
	return true
}
