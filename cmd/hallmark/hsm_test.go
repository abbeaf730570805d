package main

import (
	"testing"

	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

// Commands that work with keys get a real token.
func TestMain(m *testing.M) { hsmtest.Main(m) }
