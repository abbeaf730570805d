package api

import (
	"log/slog"
	"net/http"
	"time"
)

// NewServer wraps a handler in a server with limits that no single sender can exhaust. ReadTimeout covers a webhook
// body of 1 MiB on a slow line; WriteTimeout covers the slowest answer, a body that took ReadTimeout and then
// waited 10 s for the database; idle connections outlive the pause between JFrog's tries. What the server itself has
// to say goes to the log as a warning.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
