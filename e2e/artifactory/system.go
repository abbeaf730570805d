package artifactory

import "net/http"

func (s *Server) ping(w http.ResponseWriter, _ *http.Request, _ call) error {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("OK"))
	return nil
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request, _ call) error {
	respond(w, http.StatusOK, struct {
		Version  string   `json:"version"`
		Revision string   `json:"revision"`
		Addons   []string `json:"addons"`
		License  string   `json:"license"`
	}{s.cfg.Version, "stand-in", []string{}, "stand-in"})
	return nil
}
