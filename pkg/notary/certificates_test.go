package notary

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// office issues what it is asked for, on a clock that stands still.
type office struct {
	now    time.Time
	issued int
	err    error
}

func (o *office) issue(context.Context, hsm.Public, string) (*x509.Certificate, error) {
	o.issued++
	if o.err != nil {
		return nil, o.err
	}
	return &x509.Certificate{Raw: []byte{byte(o.issued)}, NotBefore: o.now, NotAfter: o.now.Add(100 * time.Minute)}, nil
}

func TestCertificatesAreRenewedAtHalfOfTheirLife(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := &office{now: start}
	c := newCertificates(o.issue)
	c.now = func() time.Time { return o.now }
	get := func(identity string) (byte, error) {
		der, err := c.get(t.Context(), hsm.Public{}, identity)
		if err != nil {
			return 0, err
		}
		return der[0], nil
	}
	for _, step := range []struct {
		after time.Duration
		down  bool
		want  byte
	}{
		{0, false, 1}, {49 * time.Minute, true, 1}, {51 * time.Minute, false, 2}, {51*time.Minute + 49*time.Minute, true, 2},
		{51*time.Minute + 60*time.Minute, true, 2}, {51*time.Minute + 89*time.Minute, true, 2}, {51*time.Minute + 91*time.Minute, true, 0},
		{51*time.Minute + 92*time.Minute, false, 0}, // number is not told
		{30 * time.Minute, false, 0},                // the clock went back before its beginning
	} {
		o.now, o.err = start.Add(step.after), nil
		if step.down {
			o.err = errors.New("the token is gone")
		}
		got, err := get("a")
		if step.down && step.want == 0 {
			require.ErrorIs(t, err, o.err)
			continue
		}
		require.NoError(t, err)
		if step.want != 0 {
			require.Equal(t, step.want, got, "after %s", step.after)
		}
	}
	before := o.issued
	other, err := get("b")
	require.NoError(t, err)
	require.Equal(t, before+1, int(other), "another identity is another certificate")
}

// A herd of signatures asks for one certificate.
func TestOneCertificateForAHerd(t *testing.T) {
	t.Parallel()
	o := &office{now: time.Now()}
	c := newCertificates(o.issue)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := c.get(t.Context(), hsm.Public{}, "a")
			require.NoError(t, err)
		})
	}
	wg.Wait()
	require.Equal(t, 1, o.issued)
}
