package org.artifactory.fs

import org.artifactory.repo.RepoPath

/** Stands in for Artifactory's: what is moved, copied or annotated. */
class ItemInfo {
    RepoPath repoPath
    boolean folder

    boolean isFolder() { folder }
}
