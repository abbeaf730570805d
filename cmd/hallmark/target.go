package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// privateAddresses says what to do when Artifactory refuses to deliver into a private network.
const privateAddresses = "Artifactory refuses private and loopback addresses by default; self-hosted, an administrator allows them in system.yaml with " +
	"event.webhooks.urlStrictPolicy: false (newer references name event.security.blacklist.enabled: false); " +
	"in the cloud the address must be public or privately linked"

// target is the receiver's address for an instance. base is the service's own, as Artifactory reaches it.
func target(base, instance string) (string, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return "", errors.New("--url cannot be parsed; write it like https://hallmark.example:8443")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return "", errors.New("--url must be https://host or http://host, the address under which Artifactory reaches the service")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("--url must not hold a user, a '?' or a '#'; the secret travels in the configured way")
	}
	path := "/webhook/" + instance
	return strings.TrimSuffix(strings.TrimRight(base, "/"), path) + path, nil
}

// private says why an address looks private from here; "" when it does not.
func private(ctx context.Context, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	host := u.Hostname()
	inside := func(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() }
	if ip, err := netip.ParseAddr(host); err == nil {
		if inside(ip) {
			return host + " is a private address"
		}
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	ips, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host) // what Artifactory's resolver says may differ
	for _, ip := range ips {
		if inside(ip.Unmap()) {
			return fmt.Sprintf("%s is the private address %s here", host, ip.Unmap())
		}
	}
	return ""
}

// undeliverable explains why a test delivery may have failed, the likeliest first.
func undeliverable(ctx context.Context, sub artifactory.Subscription, said string) error {
	where := sub.Handlers[0].URL
	causes := []string{
		"the service does not run there, or was not restarted since webhookSecrets changed", "the platform cannot reach it, or does not trust its certificate", privateAddresses,
	}
	switch why := private(ctx, where); {
	case strings.Contains(said, "401") || strings.Contains(strings.ToLower(said), "unauthorized"):
		causes = []string{"the running service does not know this secret: restart it, it reads webhookSecrets at its start"}
	case why != "":
		causes = []string{why + ": " + privateAddresses, causes[0], causes[1]}
	}
	return fmt.Errorf("Artifactory could not deliver a sample event to %s: %s\n  likely causes:\n  - %s", //nolint:staticcheck // a product's name
		where, said, strings.Join(causes, "\n  - "))
}
