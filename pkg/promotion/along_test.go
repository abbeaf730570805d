package promotion_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// Files of every format go along, a verification summary too, if the key counts at the target; others do not.
func TestFilesOfEveryFormatGoAlong(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	const path = "app/1/a.tgz"
	r.signed(path)
	r.put(staging, path+".sigstore-key.json", r.signature(keyA, "sigstore-key", "content of "+path))
	r.put(staging, path+".vsa.json", r.signature(keyA, "vsa", "content of "+path))
	done := r.confirm(staging + "/" + path)
	require.Equal(t, promotion.StateDone, done.State, "%+v", done)
	require.ElementsMatch(t, []string{path, path + ".sigstore.json", path + ".sig", path + ".sigstore-key.json", path + ".vsa.json"}, r.art.Paths(release))

	const other = "app/2/b.tgz"
	r.signed(other)
	r.put(staging, other+".vsa.json", r.signature(keyA, "vsa", "something else"))
	done = r.confirm(staging + "/" + other)
	require.NotContains(t, r.art.Paths(release), other+".vsa.json", "%+v", done)
}
