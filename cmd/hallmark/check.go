package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// checker gathers what is wrong with a configuration, each mistake with its place.
type checker struct {
	whole strictyaml.Pos // the file, for what stands nowhere in it
	errs  []error
}

// check lets each room judge its part, and judges how the parts refer to each other. It opens no file and asks nobody.
func (c *Config) check() error {
	k := &checker{whole: strictyaml.Pos{File: c.file}}
	k.server(c.Server)
	if c.Database.Value.URL == "" {
		k.missing("database", "give the ledger a place: database: {url: sqlite:///var/lib/hallmark/hallmark.db}")
	} else {
		k.found(c.Database.Pos, "database", c.Database.Value.Validate())
	}
	if c.Policies.Value.Dir == "" {
		k.missing("policies", "name the directory and choose what happens without a match: policies: {dir: policies, noMatch: skip}")
	}
	if len(c.Artifactory) == 0 {
		k.missing("artifactory", "list at least one instance")
	}
	switch {
	case len(c.Keys) == 0:
		k.missing("keys", "list at least one; make one with: hallmark keys generate")
	case !slices.ContainsFunc(values(c.Keys), func(key hsm.KeyConfig) bool { return key.UseOrDefault() == hsm.UseArtifact }):
		k.found(c.Keys[0].Pos, "keys", errors.New("none of them signs artifacts; make one with: hallmark keys generate"))
	}
	k.found(c.Queue.Pos, "queue", c.Queue.Value.Validate())
	k.found(c.Sweep.Pos, "sweep", c.Sweep.Value.Validate())
	checkEach(k, "artifactory", c.Artifactory, func(i int) (string, error) {
		a := c.Artifactory[i].Value
		return a.Name, a.Validate()
	})
	c.checkKeys(k)
	c.checkTrust(k)
	checkEach(k, "api.tokens", c.API.Tokens, func(i int) (string, error) {
		return c.API.Tokens[i].Value.Name, c.API.Tokens[i].Value.Validate()
	})
	return errors.Join(k.errs...)
}

// checkKeys is the part of check that hallmark keys needs too.
func (c *Config) checkKeys(k *checker) {
	tokens := map[string]bool{}
	checkEach(k, "tokens", c.Tokens, func(i int) (string, error) {
		t := c.Tokens[i].Value
		tokens[t.Name] = true
		return t.Name, t.Validate()
	})
	checkEach(k, "keys", c.Keys, func(i int) (string, error) {
		key := c.Keys[i].Value
		err := errors.Join(seal.CheckKeyName(key.Name), key.Validate())
		if key.Token != "" && !tokens[key.Token] {
			err = errors.Join(err, fmt.Errorf("token %q is not in tokens", key.Token))
		}
		return key.Name, err
	})
}

func (k *checker) server(s ServerConfig) {
	for _, a := range [...]struct{ name, address string }{{"listen", s.Listen}, {"metrics", s.Metrics}} {
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			k.found(s.Pos, "server."+a.name, fmt.Errorf("%q is not host:port, such as :8080 or 127.0.0.1:9090", a.address))
		}
	}
	if (s.TLS.Certificate == "") != (s.TLS.Key == "") {
		k.found(s.Pos, "server.tls", errors.New("certificate and key are needed together"))
	}
	if s.Drain <= 0 {
		k.found(s.Pos, "server.drain", fmt.Errorf("%s leaves no time to finish work", s.Drain))
	}
}

// checkEach judges the items of a list and that their names differ.
func checkEach[T any](k *checker, section string, items list[T], judge func(i int) (name string, err error)) {
	first := map[string]int{}
	for i, item := range items {
		where := fmt.Sprintf("%s[%d]", section, i)
		name, err := judge(i)
		k.found(item.Pos, where, err)
		if other, ok := first[name]; ok {
			k.found(item.Pos, where, fmt.Errorf("the name %q is taken by %s[%d] on line %d", name, section, other, items[other].Pos.Line))
		} else {
			first[name] = i
		}
	}
}

// found notes an error; of joined ones each line is a mistake of its own.
func (k *checker) found(pos strictyaml.Pos, where string, err error) {
	if err == nil {
		return
	}
	if pos.File == "" {
		pos = k.whole
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		k.errs = append(k.errs, pos.Errorf("%s: %s", where, line))
	}
}

func (k *checker) missing(section, fix string) {
	k.errs = append(k.errs, k.whole.Errorf("%q is missing; %s", section, fix))
}
