package org.artifactory.addon.plugin

/** Stands in for what altResponse fills in; a status of -1 means that the hook leaves the response alone. */
class ResponseCtx {
    int status = -1
    String message
}
