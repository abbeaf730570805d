package webhook

// curationDomain is about packages of others that JFrog Curation keeps out. Its payloads have no envelope and name
// neither domain nor type; these names are ours.
var curationDomain = domain{types: ignore("packages of others are not ours to sign", curationBlocked, curationWaiver)}

const (
	curationBlocked = "package_blocked"
	curationWaiver  = "waiver_request" // whatever became of it
)

// curationType tells a payload of Curation by its fields; "" when it is none.
func curationType(fields map[string]struct{}) string {
	has := func(name string) bool { _, ok := fields[name]; return ok }
	switch {
	case has("waiver_request"):
		return curationWaiver
	case has("package_name") && has("package_version") && has("policies"):
		return curationBlocked
	}
	return ""
}
