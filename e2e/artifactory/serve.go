package artifactory

import (
	"io"
	"net/http"
	"strings"
)

// call is one authenticated request, decoded.
type call struct {
	by    *Token
	at    address // of the item, for routes that name one
	rest  string  // what follows the route's prefix, for the others
	query []pair
}

// route is one line of the table: a method and how the path begins.
type route struct {
	method, prefix string // any method if ""
	names          what
	handle         func(w http.ResponseWriter, r *http.Request, c call) error
}

type what int

const (
	nothing what = iota // the path ends here
	item                // an item follows
	rest                // something else follows
	images              // the registry API follows, which has its own authentication
)

// table is everything the stand-in can do. The first match wins.
func (s *Server) table() []route {
	return []route{
		{"GET", "/artifactory/api/storage/", item, s.storageInfo},
		{"PUT", "/artifactory/api/storage/", item, s.putProperties},
		{"DELETE", "/artifactory/api/storage/", item, s.deleteProperties},
		{"PATCH", "/artifactory/api/metadata/", item, s.patchMetadata},
		{"POST", "/artifactory/api/search/aql", nothing, s.aql},
		{"POST", "/artifactory/api/copy/", item, s.copyItem},
		{"POST", "/artifactory/api/move/", item, s.moveItem},
		{"", "/v2/", images, s.registry},
		{"", "/artifactory/api/docker/", images, s.registry},
		{"POST", "/lifecycle/api/v2/release_bundle", nothing, s.createBundle},
		{"GET", "/lifecycle/api/v2/release_bundle/statuses/", rest, s.bundleStatus},
		{"GET", "/lifecycle/api/v2/release_bundle/records/", rest, s.bundleRecord},
		{"PUT", "/lifecycle/api/v2/release_bundle/records/", rest, s.tagBundle},
		{"DELETE", "/lifecycle/api/v2/release_bundle/records/", rest, s.deleteBundle},
		{"GET", "/lifecycle/api/v2/release_bundle/existence/", rest, s.bundleExists},
		{"POST", "/lifecycle/api/v2/promotion/records/", rest, s.promoteBundle},
		{"GET", "/lifecycle/api/v2/promotion/records/", rest, s.listPromotions},
		{"DELETE", "/lifecycle/api/v2/promotion/records/", rest, s.deletePromotion},
		{"GET", "/lifecycle/api/v2/promotion/statuses/", rest, s.promotionStatus},
		{"POST", "/evidence/api/v1/subject/", item, s.addEvidence},
		{"POST", "/evidence/api/v1/evidence/prepare", nothing, s.prepareEvidence},
		{"GET", "/evidence/api/v1/system/version", nothing, s.evidenceVersion},
		{"POST", "/onemodel/api/v1/graphql", nothing, s.graphql},
		{"GET", "/artifactory/api/security/keys/trusted", nothing, s.listTrustedKeys},
		{"POST", "/artifactory/api/security/keys/trusted", nothing, s.addTrustedKey},
		{"GET", "/artifactory/api/security/keys/trusted/", rest, s.getTrustedKey},
		{"DELETE", "/artifactory/api/security/keys/trusted/", rest, s.deleteTrustedKey},
		{"GET", "/access/api/v2/users", nothing, s.accessUsers},
		{"GET", "/access/api/v2/users/", rest, s.accessUser},
		{"GET", "/artifactory/api/security/users/", rest, s.securityUser},
		{"PUT", "/artifactory/api/build", nothing, s.publishBuild},
		{"GET", "/artifactory/api/build", nothing, s.listBuilds},
		{"GET", "/artifactory/api/build/", rest, s.getBuild},
		{"DELETE", "/artifactory/api/build/", rest, s.deleteBuilds},
		{"POST", "/artifactory/api/build/delete", nothing, s.postDeleteBuilds},
		{"POST", "/artifactory/api/build/promote/", rest, s.promoteBuild},
		{"GET", "/artifactory/api/system/ping", nothing, s.ping},
		{"GET", "/artifactory/api/system/version", nothing, s.version},
		{"GET", "/artifactory/api/repositories", nothing, s.listRepositories},
		{"GET", "/artifactory/api/repositories/", rest, s.getRepository},
		{"GET", "/event/api/v1/troubleshooting", nothing, s.troubleshooting},
		{"GET", "/event/api/v1/subscriptions", nothing, s.listSubscriptions},
		{"POST", "/event/api/v1/subscriptions", nothing, s.createSubscription},
		{"POST", "/event/api/v1/subscriptions/test", nothing, s.testSubscription},
		{"GET", "/event/api/v1/subscriptions/", rest, s.getSubscription},
		{"PUT", "/event/api/v1/subscriptions/", rest, s.replaceSubscription},
		{"DELETE", "/event/api/v1/subscriptions/", rest, s.deleteSubscription},
		{"GET", "/artifactory/", item, s.download},
		{"HEAD", "/artifactory/", item, s.download},
		{"PUT", "/artifactory/", item, s.deploy},
		{"DELETE", "/artifactory/", item, s.remove},
	}
}

// ServeHTTP answers one request, through a fault if one is set for it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &response{ResponseWriter: w, request: r, log: s.log}
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if f := s.faults.take(r); f != nil {
		f.serve(out, r, s.serve)
	} else {
		s.serve(out, r)
	}
	out.begin(http.StatusOK)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	handle, c, err := s.dispatch(r)
	if err == nil {
		err = handle(w, r, c)
	}
	if err != nil {
		respondError(w, err)
	}
}

func (s *Server) dispatch(r *http.Request) (func(http.ResponseWriter, *http.Request, call) error, call, error) {
	path, query, err := rawTarget(r)
	if err != nil {
		return nil, call{}, err
	}
	rt, ok := s.route(r.Method, path)
	c := call{rest: strings.TrimPrefix(path, rt.prefix)}
	if ok && rt.names == images {
		if c.query, err = parseQuery(query); err != nil {
			return nil, call{}, err
		}
		if rt.prefix != "/v2/" {
			c.at.repo, c.rest, ok = strings.Cut(c.rest, "/v2/")
		}
		if ok {
			return rt.handle, c, nil
		}
	}
	if c.by, err = s.authenticate(r); err != nil {
		return nil, call{}, err
	}
	if !ok {
		return nil, call{}, unsupported("%s %s is not implemented", r.Method, path)
	}
	if c.query, err = parseQuery(query); err != nil {
		return nil, call{}, err
	}
	if rt.names == item {
		if c.at, err = parseAddress(c.rest, s.Quirks().EncodedSemicolon); err != nil {
			return nil, call{}, err
		}
		s.mu.RLock()
		_, err = s.repository(c.at.repo)
		s.mu.RUnlock()
	}
	return rt.handle, c, err
}

func (s *Server) route(method, path string) (route, bool) {
	for _, rt := range s.routes {
		if (rt.method != method && rt.method != "") || !strings.HasPrefix(path, rt.prefix) {
			continue
		}
		if rt.names == nothing && len(path) != len(rt.prefix) {
			continue
		}
		if rt.prefix == "/artifactory/" && strings.HasPrefix(path, "/artifactory/api/") {
			continue
		}
		return rt, true
	}
	return route{}, false
}

// response remembers the status. It keeps the fast path for files (sendfile).
type response struct {
	http.ResponseWriter
	request *http.Request
	log     *requestLog
	begun   bool
}

// begin lists the request before its client can see any of the answer: whoever has been answered finds it in the log.
func (w *response) begin(status int) {
	if !w.begun {
		w.begun = true
		w.log.add(w.request, status)
	}
}

func (w *response) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

func (w *response) ReadFrom(r io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	return io.Copy(w.ResponseWriter, r)
}

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
