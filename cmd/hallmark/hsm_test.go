package main

import (
	"os"
	"testing"

	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

// Commands that work with keys get a real token.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	hsmtest.Main(m)
}
