// Package account holds logs of the uses of keys against what else there is: the intents and signatures that the ledger
// keeps, and the signatures that stand in repositories. Neither whoever writes the ledger nor whoever places files can have
// it overlook a signature by a known key: what counts is what the logs hold. It follows replays of the logs, opens no key,
// and changes nothing.
package account

import (
	"crypto"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const security = "security officers"

// Config says what is known beside the logs.
type Config struct {
	Pins  []Pin              // artifact keys of the configuration
	Keys  []crypto.PublicKey // that are known, of whomever
	Known []string           // origins of the logs that the trusted root names

	// What somebody has looked at: it is told, and no alarm.
	Logs     []string        // origins of logs that are verified elsewhere
	Unlogged artifact.Digest // names the set of the ledger's signatures from without a log, as the alarm about it does
}

// Pin is an artifact key by name.
type Pin struct {
	Name string
	SPKI artifact.Digest
}

// Books compares. Have a Log follow the replay of each log, then call Ledger, then Repository for each repository. It is for one
// goroutine. Of each signature that a log or the ledger tells of it holds 64 bytes, of each intent in a log 64, and 32 of
// each signature file that the ledger keeps: about 60 MB for a log of a million entries. Nothing else that it holds grows.
type Books struct {
	audit.Findings
	config Config
	view   *ledger.View
	keys   *keys
	logs   []*Log
	first  time.Time // entry of any log

	uses    sorted[entry]  // signatures that logs hold
	intents sorted[entry]  // that logs hold
	told    sorted[entry]  // signatures that the ledger has from elsewhere: unlogged, or of logs that are not here
	files   sorted[digest] // signature files of the ledger, by format, whose signature is in one of the sets above
	others  map[string]*other
	bare    audit.Findings // about unlogged signatures, one by one
	recent  int
	seen    map[string]bool // alarms about what stands in repositories
	until   time.Time
}

// New begins a comparison with the ledger.
func New(view *ledger.View, config Config) *Books {
	b := &Books{config: config, view: view, keys: newKeys(), others: map[string]*other{}, seen: map[string]bool{}}
	for _, k := range config.Keys {
		b.keys.learn(k)
	}
	for _, p := range config.Pins {
		b.keys.pin(p, false)
	}
	return b
}

// Recent is how many signatures were too young to be judged.
func (b *Books) Recent() int { return b.recent }

// underWay reports a time so late that what happened then need not stand in the log yet. One that lies ahead is none: it would
// be for ever.
func (b *Books) underWay(at time.Time) bool {
	return at.After(b.until) && at.Before(time.Now().Add(audit.Grace))
}

func (b *Books) log(origin string) *Log {
	if i := slices.IndexFunc(b.logs, func(l *Log) bool { return l.head.Origin == origin }); i >= 0 {
		return b.logs[i]
	}
	return nil
}

func (b *Books) alarm(r reason.Reason) {
	if r.Who == "" {
		r.Who = security
	}
	b.Add(audit.Finding{Alarm: true, Reason: r})
}
