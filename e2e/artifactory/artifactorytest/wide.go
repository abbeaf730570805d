package artifactorytest

import standin "github.com/hallmark-signing/hallmark/e2e/artifactory"

// Repositories that Wide has beside Staging and Release.
const (
	OCIStaging     = "oci-staging-local"
	OCIRelease     = "oci-release-local"
	OCIVirtual     = "oci"  // reads OCIRelease, then OCIStaging; takes pushes for OCIStaging
	LibsVirtual    = "libs" // reads Release, then Staging; takes deploys for Staging
	Federated      = "libs-federated"
	Remote         = "upstream" // its cache is "upstream-cache"
	DevEnvironment = "DEV"      // of the staging repositories
	Production     = "PROD"     // of the release repositories
)

// Wide is a configuration with a repository of every class, images, and two environments, for promotions of all kinds.
// Behind Remote every path has its own name as content.
func Wide() standin.Config {
	return standin.Config{
		Repositories: []standin.Repository{
			{Key: Staging}, {Key: Release},
			{Key: OCIStaging, PackageType: "docker"}, {Key: OCIRelease, PackageType: "docker"},
			{Key: Federated, Class: standin.Federated},
			{Key: Remote, Class: standin.Remote, Fetch: func(path string) ([]byte, bool) { return []byte(path), true }},
			{Key: LibsVirtual, Class: standin.Virtual, Members: []string{Release, Staging}, DeployTo: Staging},
			{Key: OCIVirtual, Class: standin.Virtual, PackageType: "docker", Members: []string{OCIRelease, OCIStaging}, DeployTo: OCIStaging},
		},
		Environments: map[string][]string{DevEnvironment: {Staging, OCIStaging}, Production: {Release, OCIRelease}},
	}
}
