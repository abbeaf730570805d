package artifactory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// EvidenceFormat is the one format that the evidence service gets from us, as pkg/seal names it.
const EvidenceFormat = "evidence"

// evidencePredicate is the predicate type of that format, as pkg/seal has it: by it ours is told from other evidence.
const evidencePredicate = "https://github.com/hallmark-signing/hallmark/signature/v1"

// Bounds on what is read of one subject's evidence.
const (
	maxEvidence     = 64      // files
	maxEvidenceSize = 1 << 20 // bytes of one
)

// evidencePause is how long evidence that Artifactory does not verify keeps equal evidence from being attached again, so
// that repetitions do not pile up where nobody has yet uploaded the key.
const evidencePause = time.Hour

// ErrNoEvidence means that the platform offers no evidence service, or none that can be searched: that takes an Enterprise+
// subscription and its evidence service 7.125.0 or newer.
var ErrNoEvidence = errors.New("the platform has no evidence service (it takes an Enterprise+ subscription, and the evidence service 7.125.0 or newer)")

// NotVerified means that Artifactory does not verify evidence that is attached, or would be. Somebody has to see to the
// trusted key; then the same call works.
type NotVerified struct {
	Alias string // the key's name, which has to be the alias of a trusted key
	Cause string
}

func (e *NotVerified) Error() string {
	return fmt.Sprintf("Artifactory does not verify evidence by key %s: %s", e.Alias, e.Cause)
}

// Attest attaches a finished DSSE envelope to a file as evidence, and returns where it is kept. It returns no error only
// when Artifactory says that it has verified this very signature: the one that was sent, or one that was there already;
// then nothing is sent. Verified by Artifactory is not verified: the caller's own check is what counts. Errors:
// *NotVerified, ErrNoEvidence, *Refused for another final no, ErrTooMany when there is more evidence than is read and this is
// not among what was, artifact.ErrGone when the subject is not there. After any other error the same call may be made again.
func (c *Client) Attest(ctx context.Context, subject artifact.Subject, format string, content []byte) (string, error) {
	name, err := c.attest(ctx, subject, format, content)
	if err != nil {
		return "", fmt.Errorf("attaching evidence to %s: %w", subject.Ref, err)
	}
	return name, nil
}

func (c *Client) attest(ctx context.Context, subject artifact.Subject, format string, content []byte) (string, error) {
	if format != EvidenceFormat {
		return "", fmt.Errorf("the evidence service takes the format %s, not %q", EvidenceFormat, format)
	}
	ours, err := readEvidence(content)
	if err != nil {
		return "", err
	}
	p, err := c.itemPath(subject.Ref)
	if err != nil {
		return "", err
	}
	known, err := c.evidence(ctx, subject)
	if err != nil && !errors.Is(err, ErrTooMany) {
		return "", err
	}
	for _, e := range known {
		// What somebody else wrote under our key's name is neither ours nor in our way.
		there, err := readEvidence(e.content)
		if err != nil || there.keyID != ours.keyID || there.sig != ours.sig || !bytes.Equal(there.payload, ours.payload) {
			continue
		}
		if e.Verified {
			return e.ref.String(), nil
		}
		if left := evidencePause - time.Since(e.created()); left > 0 {
			why := c.whyNotVerified(ctx, ours.keyID)
			why.Cause += fmt.Sprintf("; evidence without effect is attached already (%s), and more of it not before %s have passed", e.ref, left.Round(time.Minute))
			return "", why
		}
	}
	if err != nil { // it may be among the rest; more of it would pile up
		return "", err
	}
	if keys, ok := c.trustedKeys(ctx); ok && !slices.ContainsFunc(keys, func(k trustedKey) bool { return k.Alias == ours.keyID }) {
		return "", &NotVerified{ours.keyID, causeNoKey}
	}
	return c.sendEvidence(ctx, subject.Ref, p, ours.keyID, content)
}

// sendEvidence sends it once: a repetition would attach a second piece.
func (c *Client) sendEvidence(ctx context.Context, ref artifact.Ref, p, keyID string, content []byte) (string, error) {
	var answer struct {
		Verified looseBool `json:"verified"`
		Repo     string    `json:"repository"`
		Path     string    `json:"path"`
		Name     string    `json:"name"`
	}
	err := c.do(ctx, request{
		call: callEvidence, method: http.MethodPost, single: true, body: content, headers: map[string]string{"Content-Type": "application/json"},
		url: c.platform() + "evidence/api/v1/subject/" + p,
	}, decodeInto(&answer))
	switch {
	case isStatus(err, http.StatusBadRequest):
		return "", c.badEvidence(ctx, keyID, refusal("attaching evidence", err))
	case err != nil:
		return "", c.evidenceError(ctx, ref, "attaching evidence", err)
	case !bool(answer.Verified):
		return "", c.whyNotVerified(ctx, keyID)
	}
	at, err := artifact.NewRef(c.name, answer.Repo, strings.TrimPrefix(path.Join(answer.Path, answer.Name), "/"))
	if err != nil {
		return "evidence", nil //nolint:nilerr // it is attached; the server does not say where
	}
	return at.String(), nil
}

// badEvidence explains a 400: some releases refuse an alias that they do not know. Only where the list of trusted keys says
// that this is so is it *NotVerified; else it is a refusal like any other, with what to look at.
func (c *Client) badEvidence(ctx context.Context, keyID string, refused error) error {
	keys, ok := c.trustedKeys(ctx)
	switch {
	case !ok:
		return fmt.Errorf("%w (some releases say so of a key that they do not know: %s)", refused, causeUnseen)
	case !slices.ContainsFunc(keys, func(k trustedKey) bool { return k.Alias == keyID }):
		return fmt.Errorf("%w (%w)", refused, &NotVerified{keyID, causeNoKey})
	}
	return refused
}

// evidenceError tells what an answer of the evidence service means: 404 is said of the subject and of the service.
func (c *Client) evidenceError(ctx context.Context, ref artifact.Ref, what string, err error) error {
	switch {
	case isStatus(err, http.StatusNotImplemented):
		return fmt.Errorf("%w: %w", ErrNoEvidence, err)
	case isStatus(err, http.StatusNotFound):
		if _, info := c.info(ctx, ref); info != nil {
			return info
		}
		return fmt.Errorf("%w: %w", ErrNoEvidence, err)
	case isStatus(err, http.StatusForbidden):
		return fmt.Errorf("%w (the token needs read and annotate rights in %s, and the platform an Enterprise+ subscription)", refusal(what, err), ref.Repo)
	}
	return refusal(what, err)
}

// Attestations reads the evidence of our kind that is attached to a file, as bytes that nobody has verified. There are at
// most 64 of at most 1 MiB, first those that Artifactory claims to have verified, then the newest; verified by a key of
// somebody else counts there, too. Where that leaves any out, or more than 2000 pieces of whatever kind keep the search from
// its end, what was read comes together with ErrTooMany. No evidence is no error. Other errors as for Attest.
func (c *Client) Attestations(ctx context.Context, subject artifact.Subject) ([]StoredSignature, error) {
	known, err := c.evidence(ctx, subject)
	list := make([]StoredSignature, len(known))
	for i, e := range known {
		list[i] = StoredSignature{Name: e.ref.String(), Format: EvidenceFormat, Content: e.content}
	}
	if err != nil {
		return list, fmt.Errorf("reading the evidence of %s: %w", subject.Ref, err)
	}
	return list, nil
}

// signedEvidence is what has to be known of an envelope to recognise it.
type signedEvidence struct {
	payload    []byte
	keyID, sig string
}

func readEvidence(content []byte) (signedEvidence, error) {
	var doc struct {
		Payload    []byte `json:"payload"`
		Signatures []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(content, &doc); err != nil {
		return signedEvidence{}, fmt.Errorf("evidence is no DSSE envelope: %.200s", err.Error())
	}
	if len(doc.Payload) == 0 || len(doc.Signatures) != 1 || doc.Signatures[0].KeyID == "" {
		return signedEvidence{}, fmt.Errorf("evidence needs a payload and one signature with a keyid, not %d", len(doc.Signatures))
	}
	return signedEvidence{doc.Payload, doc.Signatures[0].KeyID, doc.Signatures[0].Sig}, nil
}

// looseBool reads true and "true"; all else is false.
type looseBool bool

func (b *looseBool) UnmarshalJSON(raw []byte) error {
	*b = looseBool(strings.EqualFold(strings.Trim(string(raw), `"`), "true"))
	return nil
}
