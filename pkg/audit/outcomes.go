package audit

import (
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// outcome closes an intent. Everything that it says is held against the entries that it names.
func (a *account) outcome(index uint64, o Outcome) error {
	a.at(index, o.At, "")
	in := a.open[o.Intent]
	if in == nil {
		found := fmt.Sprintf("entry %d, which is no intent before it", o.Intent)
		if a.intents.has(o.Intent) {
			found = fmt.Sprintf("the intent %d, which had ended before", o.Intent)
		}
		a.wrong(index, "an outcome of nothing", found, "one outcome for one intent")
		return nil
	}
	delete(a.open, o.Intent)
	signatures := a.uses(index, o, in)
	k := a.key(in.SPKI)
	if o.Result == Sealed {
		a.report.Sealed++
		if len(signatures) == 0 {
			a.empty(index)
		}
	} else {
		a.report.Abandoned++
		for _, i := range k.loose {
			if e := a.loose[i]; e != nil && i > o.Intent {
				e.abandoned = true
			}
		}
	}
	a.settle(in.SPKI, k)
	if o.Result != Sealed || a.closed == nil {
		return nil
	}
	return a.closed(Closed{Index: o.Intent, Outcome: index, Intent: in.Intent, Signatures: signatures})
}

// uses takes the entries that an outcome names, and returns the signatures that they hold.
func (a *account) uses(index uint64, o Outcome, in *openIntent) (signatures []artifact.Digest) {
	for _, u := range o.Uses {
		if len(u.Entries) == 0 && o.Result == Sealed {
			a.empty(index)
		}
		stands := false
		for _, i := range u.Entries {
			e := a.loose[i]
			switch {
			case e == nil && a.rekords.has(i):
				a.wrong(index, "an outcome names a signature that is not its own", fmt.Sprintf("entry %d, which is accounted for already", i), "signatures of its own intent")
			case e == nil:
				a.wrong(index, "an outcome names what is no signature", fmt.Sprintf("entry %d", i), "signatures before it")
			case i < o.Intent:
				a.wrong(index, "an outcome names a signature from before its intent", fmt.Sprintf("entry %d, intent %d", i, o.Intent), "an intent before the key is used")
			case e.made.spki != in.SPKI:
				a.wrong(index, "an outcome names a signature by another key", fmt.Sprintf("entry %d by sha256:%s", i, e.made.spki), "signatures by sha256:"+in.SPKI.String())
			case e.made.signature != u.Signature:
				a.wrong(index, "an outcome names another signature than its entry holds", fmt.Sprintf("entry %d with sha256:%s", i, e.made.signature), "sha256:"+u.Signature.String())
			case !e.made.certificate.IsZero() && e.made.certificate != o.Certificate:
				a.wrong(index, "an outcome names another certificate than its entry holds", fmt.Sprintf("entry %d with sha256:%s", i, e.made.certificate), "sha256:"+o.Certificate.String())
			default:
				stands = true
				delete(a.loose, i)
			}
		}
		if stands {
			signatures = append(signatures, u.Signature)
		}
	}
	return signatures
}

func (a *account) wrong(index uint64, message, found, expected string) {
	a.report.Add(about(index, reason.Reason{
		Code: reason.LogOutcomeWrong, Message: message, Found: found, Expected: expected, Fix: "find out what ran in place of the service", Who: security,
	}))
}

func (a *account) empty(index uint64) {
	a.report.Add(about(index, reason.Reason{
		Code: reason.LogOutcomeEmpty, Message: "an outcome says that signatures were made, and names no entries of them", Found: "sealed, without entries",
		Expected: "the entries of every signature", Fix: "find the signatures: hallmark audit show " + fmt.Sprint(index) + " and its intent tell whose they are", Who: security,
	}))
}
