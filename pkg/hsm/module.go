package hsm

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

// lifecycle is held around everything that may initialise or finalise a module. C_Initialize and C_Finalize act on the
// whole process (PKCS#11 v2.40 section 5.4), and crypto11 refuses a module that it finds initialised by somebody else,
// so this one lock has to be the process's, not a Keyring's.
var lifecycle sync.Mutex

// library is one PKCS#11 module used directly. It shares login state with every crypto11 context of the same module in
// this process, because the dynamic linker loads a library once.
type library struct {
	path string
	raw  *pkcs11.Ctx
}

// Slot is one slot with a token in it, as the module reports it.
type Slot struct {
	ID           uint   `json:"slot"`
	Label        string `json:"label"`
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Serial       string `json:"serial"`
	flags        uint
	maxSessions  uint
}

// loadLibrary maps the module into the process; it does not initialise it.
func loadLibrary(path string) (*library, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrModule, err)
	case info.IsDir():
		return nil, fmt.Errorf("%w: %s is a directory", ErrModule, path)
	}
	raw := pkcs11.New(path)
	if raw == nil {
		return nil, fmt.Errorf("%w: %s is not a loadable PKCS#11 library (not a shared object for this machine, a library it needs is missing, or it has no C_GetFunctionList)", ErrModule, path)
	}
	return &library{path: path, raw: raw}, nil
}

// unload drops this handle on the library. Contexts that others hold on the module live on.
func (l *library) unload() { l.raw.Destroy() }

// initialised runs f while the module is initialised, and leaves it as it was found. mine says that nobody else in the
// process uses the module: then nobody is logged in either. The caller holds lifecycle.
func (l *library) initialised(f func(mine bool) error) error {
	err := l.raw.Initialize()
	mine := err == nil
	if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		return fmt.Errorf("%w: initialising %s: %w", ErrModule, l.path, err)
	}
	err = f(mine)
	if mine {
		if ferr := l.raw.Finalize(); ferr != nil && err == nil {
			err = fmt.Errorf("%w: finalising %s: %w", ErrModule, l.path, ferr)
		}
	}
	return err
}

// slots lists the tokens that the module sees now.
func (l *library) slots() ([]Slot, error) {
	ids, err := l.raw.GetSlotList(true)
	if err != nil {
		return nil, fmt.Errorf("%w: listing slots of %s: %w", ErrModule, l.path, err)
	}
	seen := make([]Slot, 0, len(ids))
	for _, id := range ids {
		info, err := l.raw.GetTokenInfo(id)
		if err != nil { // one slot in trouble must not hide the others
			seen = append(seen, Slot{ID: id, Label: fmt.Sprintf("(unreadable: %v)", err)})
			continue
		}
		seen = append(seen, Slot{
			ID: id, Label: info.Label, Manufacturer: info.ManufacturerID, Model: info.Model, Serial: info.SerialNumber,
			flags: info.Flags, maxSessions: info.MaxRwSessionCount,
		})
	}
	return seen, nil
}

// describeSlots is the list for people.
func describeSlots(seen []Slot) string {
	if len(seen) == 0 {
		return "no token in any slot"
	}
	parts := make([]string, 0, len(seen))
	for _, s := range seen {
		if s.flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 && s.Label == "" {
			parts = append(parts, fmt.Sprintf("slot %d (uninitialised)", s.ID))
			continue
		}
		parts = append(parts, fmt.Sprintf("slot %d %q", s.ID, s.Label))
	}
	return strings.Join(parts, ", ")
}
