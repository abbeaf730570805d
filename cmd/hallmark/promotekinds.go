package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// promotionKinds are the flags that say what is promoted, and those that go with only one of them.
type promotionKinds struct {
	build, project, source, status, comment string
	bundle, environment                     string
	image, targetTag                        string
}

func promotionFlags(cmd *cobra.Command) *promotionKinds {
	k := &promotionKinds{}
	f := cmd.Flags()
	f.StringVar(&k.build, "build", "", "promote the files of this build: NAME/NUMBER")
	f.StringVar(&k.project, "project", "", "project of the build or release bundle")
	f.StringVar(&k.source, "source", "", "repository of the build's files, where they lie in several")
	f.StringVar(&k.status, "status", "", "what the build's history calls it (default "+promotion.DefaultStatus+")")
	f.StringVar(&k.comment, "comment", "", "comment in the build's history")
	f.StringVar(&k.image, "image", "", "promote this image: REPO/NAME:TAG, REPO/NAME@sha256:DIGEST or both")
	f.StringVar(&k.targetTag, "target-tag", "", "tag of the image in the target; default: as it is")
	f.StringVar(&k.bundle, "bundle", "", "promote this release bundle v2: NAME/VERSION")
	f.StringVar(&k.environment, "environment", "", "environment that the release bundle enters; required with --bundle")
	for _, name := range []string{"bundle", "environment", "build", "project", "source", "status", "comment", "image", "target-tag"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return k
}

// goesWith says which flags need which kind's flag.
var goesWith = map[string][]string{
	"project": {"build", "bundle"}, "environment": {"bundle"}, "source": {"build"}, "status": {"build"}, "comment": {"build"}, "target-tag": {"image"},
}

// request reads what is to be promoted: paths, or one of the flags.
func (k *promotionKinds) request(cmd *cobra.Command, args []string) (api.PromotionRequest, error) {
	var kinds []string
	for _, name := range []string{"build", "image", "bundle"} {
		if cmd.Flags().Changed(name) {
			kinds = append(kinds, "--"+name)
		}
	}
	if len(args) > 0 {
		kinds = append(kinds, "paths")
	}
	switch {
	case len(kinds) == 0:
		return api.PromotionRequest{}, errors.New("nothing to promote is named: give REPO/PATH, --build NAME/NUMBER, --image REPO/NAME:TAG or --bundle NAME/VERSION")
	case len(kinds) > 1:
		return api.PromotionRequest{}, fmt.Errorf("%s cannot go together; promote one after the other", strings.Join(kinds, " and "))
	}
	for name, of := range goesWith {
		if cmd.Flags().Changed(name) && !oneChanged(cmd, of) {
			return api.PromotionRequest{}, fmt.Errorf("--%s goes with --%s only", name, strings.Join(of, " or --"))
		}
	}
	if kinds[0] == "--build" {
		name, number, err := cutLast(k.build, "--build", "NAME/NUMBER")
		if err != nil {
			return api.PromotionRequest{}, err
		}
		return api.PromotionRequest{Build: &promotion.Build{
			Name: name, Number: number, Project: k.project, Source: k.source, Status: k.status, Comment: k.comment,
		}}, nil
	}
	if kinds[0] == "--bundle" {
		name, version, err := cutLast(k.bundle, "--bundle", "NAME/VERSION")
		if err != nil {
			return api.PromotionRequest{}, err
		}
		if k.environment == "" {
			return api.PromotionRequest{}, errors.New("--bundle needs --environment too: the environment that the release bundle enters")
		}
		return api.PromotionRequest{Bundle: &promotion.Bundle{Name: name, Version: version, Project: k.project, Environment: k.environment}}, nil
	}
	if kinds[0] == "--image" {
		return api.PromotionRequest{Image: k.image, TargetTag: k.targetTag}, nil
	}
	return api.PromotionRequest{Artifacts: args}, nil
}

func oneChanged(cmd *cobra.Command, names []string) bool {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// cutLast splits at the last slash: names of builds may have some.
func cutLast(s, flag, form string) (name, version string, err error) {
	i := strings.LastIndexByte(s, '/')
	if i <= 0 || i == len(s)-1 {
		return "", "", fmt.Errorf("%s %q is not %s", flag, s, form)
	}
	return s[:i], s[i+1:], nil
}
