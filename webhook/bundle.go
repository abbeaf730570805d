package webhook

// bundleDomain is about release bundles of the first kind, which live in JFrog Distribution.
var bundleDomain = domain{mark: "release_bundle_name", types: ignore("JFrog Distribution signs its release bundles itself", "created", "signed", "deleted")}
