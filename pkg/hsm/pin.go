package hsm

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxPIN bounds what is read as a PIN, in bytes; a longer file is some other file.
const maxPIN = 1024

// read returns the PIN, and a warning when other users of the machine can read the file. Neither holds the PIN's text.
func (p PINFile) read() (pin, warning string, err error) {
	f, err := os.Open(p.File)
	if err != nil {
		return "", "", fmt.Errorf("reading PIN file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", fmt.Errorf("reading PIN file: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPIN+1))
	if err != nil {
		return "", "", fmt.Errorf("reading PIN file: %w", err)
	}
	pin = strings.TrimRight(string(data), "\r\n")
	switch {
	case pin == "":
		return "", "", fmt.Errorf("reading PIN file: %s is empty", p.File)
	case len(data) > maxPIN:
		return "", "", fmt.Errorf("reading PIN file: %s has more than %d bytes, that is no PIN", p.File, maxPIN)
	case strings.ContainsAny(pin, "\r\n\x00"):
		return "", "", fmt.Errorf("reading PIN file: %s has several lines or a NUL byte; it must hold the PIN alone", p.File)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		warning = fmt.Sprintf("%s is open to every user of this machine (mode %04o); run: chmod 0400 %s", p.File, mode, p.File)
	}
	return pin, warning, nil
}
