package webhook

// propertyDomain is about the properties of files, folders and repositories. They are no evidence, and our own writes
// come back here: acting on them could only make a loop.
var propertyDomain = domain{mark: "property_key", types: ignore("properties are for search and prove nothing", "added", "deleted")}
