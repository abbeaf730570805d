package gate

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// claimTime bounds reading properties. They explain a refusal that stands without them.
const claimTime = time.Second

// The property that says that an artifact is signed. Anybody who may annotate can write it.
const (
	claimKey   = "hallmark.state"
	claimValue = "signed"
)

// claims adds to the refusal of an artifact without any signature that verifies what its properties say. One that says of
// itself that it is signed, and carries no signature at all, is refused with a code of its own. Nothing is ever allowed for
// a property: the reasons stay as many as they are.
func (in *inspection) claims(ctx context.Context, log *slog.Logger, refused []reason.Reason, found []policy.Evidence) {
	bare := !slices.ContainsFunc(found, func(e policy.Evidence) bool { return e.Problem == "" })
	i := slices.IndexFunc(refused, func(r reason.Reason) bool { return ofSignature[r.Code] })
	if !bare || i < 0 || in.subject.Kind == artifact.KindBundle { // a bundle is frozen: no property of it can be set
		return
	}
	ctx, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	properties, err := in.client.Properties(ctx, in.subject.Ref)
	if err != nil {
		log.DebugContext(ctx, "what a refused artifact says of itself is not known", slog.String("artifact", in.subject.Ref.String()), slog.Any("error", err))
		return
	}
	if !slices.Contains(properties[claimKey], claimValue) {
		return
	}
	for i := range refused {
		r := &refused[i]
		if !ofSignature[r.Code] {
			continue
		}
		r.Found += fmt.Sprintf("; its properties say %s=%s, which whoever may annotate can write", claimKey, claimValue)
		if r.Code == reason.SignatureMissing {
			r.Code = reason.PropertyFalse
			r.Message = in.subject.Ref.Name() + " says in its properties that it is signed, and it is not: no signature stands with it"
		}
	}
}

// ofSignature are the reasons that a signature would settle.
var ofSignature = map[reason.Code]bool{
	reason.SignatureMissing: true, reason.SignatureInvalid: true, reason.SignatureWrongBytes: true, reason.SignatureSwapped: true,
	reason.SignatureWrongKey: true, reason.SignatureStale: true, reason.SignatureUndated: true, reason.KeyDevelopment: true,
	reason.KeyRetired: true, reason.KeyNotYet: true, reason.KeyDistrusted: true, reason.TrustLevelLow: true, reason.PropertyFalse: true,
}
