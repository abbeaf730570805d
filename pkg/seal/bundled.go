package seal

// Bundle reports whether files of the format are Sigstore bundles, which may carry a certificate, the proof that they stand
// in a log, and a time-stamp.
func (f Format) Bundle() bool { return f.MediaType == sigstoreType }
