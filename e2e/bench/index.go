package main

import (
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	registry "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

var (
	systems       = [...]string{"linux", "windows", "freebsd", "darwin"}
	architectures = [...]string{"amd64", "arm64", "386", "ppc64le", "s390x"}
)

const (
	imagePlatforms = len(systems) * len(architectures)
	layerSize      = 1 << 10 // of the one layer of each image, which nobody reads who signs
)

// newIndex makes an index of images for all platforms, whose bytes nothing else has.
func newIndex() (v1.ImageIndex, error) {
	var index v1.ImageIndex = empty.Index
	for _, system := range systems {
		for _, architecture := range architectures {
			image, err := newImage(system, architecture)
			if err != nil {
				return nil, err
			}
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: system, Architecture: architecture}}})
		}
	}
	return index, nil
}

func newImage(system, architecture string) (v1.Image, error) {
	image, err := random.Image(layerSize, 1)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = system, architecture
	return mutate.ConfigFile(image, config)
}

// pushIndex pushes it with everything that it names, as docker and crane do.
func pushIndex(ctx context.Context, s *sandbox.Sandbox, index v1.ImageIndex, tag string) error {
	ref, err := registry.ParseReference(strings.TrimPrefix(s.Artifactory.URL(), "http://") + "/" + ociStaging + "/" + imageName + ":" + tag)
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, index, remote.WithContext(ctx), remote.WithAuth(&authn.Bearer{Token: sandbox.Developer}))
}
