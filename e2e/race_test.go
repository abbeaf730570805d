//go:build race

package e2e

// raceFlag makes the service under test look for races when the tests do.
const raceFlag = "-race"
