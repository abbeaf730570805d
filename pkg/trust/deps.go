package trust

import (
	_ "github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	_ "github.com/digitorus/timestamp"
	_ "github.com/sigstore/rekor-tiles/v2/pkg/note"
	_ "github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	_ "github.com/sigstore/sigstore-go/pkg/bundle"
	_ "github.com/sigstore/sigstore-go/pkg/root"
	_ "github.com/sigstore/sigstore-go/pkg/verify"
	_ "github.com/sigstore/timestamp-authority/v2/pkg/verification"
	_ "github.com/transparency-dev/formats/log"
	_ "github.com/transparency-dev/merkle/proof"
	_ "github.com/transparency-dev/tessera"
	_ "github.com/transparency-dev/tessera/client"
	_ "github.com/transparency-dev/tessera/storage/posix"
	_ "github.com/zmap/zlint/v3"
	_ "golang.org/x/crypto/cryptobyte"
	_ "golang.org/x/mod/sumdb/note"
)
