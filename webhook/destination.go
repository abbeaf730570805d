package webhook

// destinationDomain is about release bundles that arrived at an edge node, as the node tells it.
var destinationDomain = domain{types: ignore("an edge node holds what was signed before", "received", "delete_started", "delete_completed", "delete_failed")}
