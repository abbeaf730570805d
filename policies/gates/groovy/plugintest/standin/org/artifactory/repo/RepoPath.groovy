package org.artifactory.repo

/** Stands in for Artifactory's; path has no slash in front. */
class RepoPath {
    String repoKey
    String path
    boolean folder

    boolean isFolder() { folder }

    boolean isFile() { !folder }

    String getId() { "$repoKey:$path" }

    String toString() { getId() }
}
