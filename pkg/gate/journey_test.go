package gate_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

// The gate opens for what the service has signed with a key on a token, and for nothing else.
func TestWhatTheServiceSignsPassesTheGate(t *testing.T) {
	t.Parallel()
	for _, algorithm := range hsm.Algorithms() {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			tok := hsmtest.NewToken(t)
			keys, err := hsm.Open(t.Context(), []hsm.Config{tok.Config()}, []hsm.KeyConfig{tok.Generate(t, "release-a", "release", algorithm)}, hsm.Options{})
			require.NoError(t, err)
			t.Cleanup(keys.Close)
			r.gate.Trust = keys.Keys()
			r.setPolicy(oneSignature)
			service := &signing.Service{
				Instances: map[string]*artifactory.Client{"main": newClient(t, r.art.URL(), artifactorytest.CI)},
				Policies:  r.policies.Load, Keys: keys, Ledger: r.ledger, Log: slog.New(slog.DiscardHandler),
				Order: func(context.Context, []ledger.Event) error { return errors.New("nothing here has parts") },
			}
			require.NoError(t, service.Init(prometheus.NewRegistry()))
			sign := func() {
				require.NoError(t, service.Do(t.Context(), ledger.Event{ID: 1, Instance: "main", Domain: "request", Type: "sign", Repo: staging, Path: path, ReceivedAt: time.Now()}))
			}

			v := r.check(path)
			require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(v))
			require.Equal(t, "hallmark sign "+staging+"/"+path, v.Reasons[0].Fix)
			sign()
			require.True(t, r.check(path).Allow, "the advice holds")
			require.True(t, r.check(bundle).Allow)
			require.True(t, r.check(raw).Allow)

			r.put(path, "tampered")
			v = r.check(path)
			require.Equal(t, []reason.Code{reason.SignatureWrongBytes}, codes(v))
			sign()
			require.True(t, r.check(path).Allow, "signed again, as the other bytes they are")
		})
	}
}
