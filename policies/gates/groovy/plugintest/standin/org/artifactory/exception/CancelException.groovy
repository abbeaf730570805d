package org.artifactory.exception

/** Stands in for the class of this name in Artifactory's API for user plugins. */
class CancelException extends RuntimeException {
    final int errorCode

    CancelException(String message, int errorCode) {
        super(message)
        this.errorCode = errorCode
    }
}
