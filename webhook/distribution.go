package webhook

// distributionDomain is about release bundles on their way to edge nodes.
var distributionDomain = domain{mark: "edge_node_info_list", types: ignore("distribution carries what was signed before",
	"distribute_started", "distribute_completed", "distribute_aborted", "distribute_failed",
	"delete_started", "delete_completed", "delete_failed",
)}
