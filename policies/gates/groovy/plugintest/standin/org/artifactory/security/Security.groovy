package org.artifactory.security

/** Stands in for Artifactory's, which knows the user of the request that a hook runs in. */
class Security {
    final ThreadLocal<String> user = new ThreadLocal<String>()

    String getCurrentUsername() { user.get() }
}
