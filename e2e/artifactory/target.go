package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// errBlocked is a target that the guard refuses.
var errBlocked = errors.New("the target's address is loopback or private, which is blocked by default")

// private reports whether the guard refuses an address: loopback, private, link-local and unspecified ones.
func private(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
}

// guard refuses a subscription whose target is plainly private; what a name resolves to is seen when it is dialled.
func (s *Server) guard(sub Subscription) error {
	if s.Quirks().PrivateTargets != "refuse" {
		return nil
	}
	u, err := url.Parse(sub.Handlers[0].URL)
	if err != nil {
		return refuse(http.StatusBadRequest, "The handler's URL is invalid")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() == "localhost" || (err == nil && private(ip)) {
		return refuse(http.StatusBadRequest, "The URL '%s' is not allowed: %v", sub.Handlers[0].URL, errBlocked)
	}
	return nil
}

// dialer connects to targets, unless guarded says that private ones are refused and this is one.
func dialer(guarded func() bool) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	d.Control = func(_, address string, _ syscall.RawConn) error {
		if !guarded() {
			return nil
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("stand-in: reading the target's address: %w", err)
		}
		if private(at.Addr()) {
			return errBlocked
		}
		return nil
	}
	return d.DialContext
}
