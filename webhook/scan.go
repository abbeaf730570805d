package webhook

// scanDomain is about Xray's scans.
var scanDomain = domain{types: ignore("no policy waits for a scan", "done", "failed", "partial", "not_supported")}
