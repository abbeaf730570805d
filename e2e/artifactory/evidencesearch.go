package artifactory

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

type graphqlAnswer struct {
	Data   any            `json:"data,omitempty"`
	Errors []graphqlError `json:"errors,omitempty"`
}

type graphqlError struct {
	Message string `json:"message"`
}

// graphql answers POST onemodel/api/v1/graphql, which knows evidence only.
func (s *Server) graphql(w http.ResponseWriter, r *http.Request, c call) error {
	if err := bearerOnly(r); err != nil {
		return err
	}
	var body struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, "The body is not a query: %v", err)
	}
	if len(body.Variables) > 0 {
		return unsupported("GraphQL variables are not implemented")
	}
	fields, err := parseGraphQL(body.Query)
	if err == nil {
		var data any
		root := object{"evidence": object{"searchEvidence": func(args map[string]any) (any, error) { return s.searchEvidence(c.by, args) }}}
		if data, err = choose(root, fields); err == nil {
			respond(w, http.StatusOK, graphqlAnswer{Data: data})
			return nil
		}
	}
	respond(w, http.StatusBadRequest, graphqlAnswer{Errors: []graphqlError{{err.Error()}}})
	return nil
}

// searchEvidence finds what was said about one item: where: {hasSubjectWith: {repositoryKey, path, name}}, first, after.
func (s *Server) searchEvidence(by *Token, args map[string]any) (any, error) {
	for key := range args {
		if key != "where" && key != "first" && key != "after" {
			return nil, fmt.Errorf("stand-in: the argument %q is not implemented", key)
		}
	}
	where, _ := args["where"].(map[string]any)
	subject, _ := where["hasSubjectWith"].(map[string]any)
	repo, _ := subject["repositoryKey"].(string)
	path, _ := subject["path"].(string)
	name, _ := subject["name"].(string)
	if len(where) != 1 || len(subject) > 3 || repo == "" || name == "" {
		return nil, fmt.Errorf("stand-in: only where: {hasSubjectWith: {repositoryKey, path, name}} is implemented")
	}
	at := repo + "/" + name
	if path = strings.Trim(path, "/"); path != "" && path != "." {
		at = repo + "/" + path + "/" + name
	}
	first, ok := args["first"].(int64)
	if !ok || first > 1000 {
		first = 1000
	}
	from := 0
	if after, ok := args["after"].(string); ok {
		n, err := base64.StdEncoding.DecodeString(after)
		if err == nil {
			from, err = strconv.Atoi(string(n))
		}
		if err != nil {
			return nil, fmt.Errorf("bad cursor %q", after)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	nodes := []object{}
	if by.allows(repo, 'r') {
		for _, e := range s.evidence[at] {
			if !e.stored.gone && s.holds(e.subject) {
				nodes = append(nodes, s.evidenceNode(e))
			}
		}
	}
	return connection(nodes, from, int(first)), nil
}

// connection pages through nodes; a cursor is the number of nodes up to it.
func connection(nodes []object, from, first int) object {
	total := len(nodes)
	from = min(max(0, from), total)
	to := min(from+max(0, first), total)
	edges, end := []object{}, ""
	for i := from; i < to; i++ {
		end = base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(i + 1)))
		edges = append(edges, object{"cursor": end, "node": nodes[i]})
	}
	return object{
		"totalCount": total, "edges": edges,
		"pageInfo": object{"hasNextPage": to < total, "hasPreviousPage": from > 0, "endCursor": end, "startCursor": ""},
	}
}

func (s *Server) evidenceNode(e *evidence) object {
	at := e.stored.address()
	var verified any = e.verified
	if s.Quirks().VerifiedType == "string" {
		verified = strconv.FormatBool(e.verified)
	}
	attachments := []object{}
	for _, a := range e.attachments {
		attachments = append(attachments, object{"name": a["name"], "sha256": a["sha256"], "type": a["type"], "downloadPath": at.repo + "/" + e.stored.dir() + "/" + a["name"]})
	}
	subject := e.subject.path[:len(e.subject.path)-1]
	return object{
		"predicateSlug": slug(e.statement.PredicateType), "predicateType": e.statement.PredicateType, "predicateCategory": "",
		"downloadPath": at.String(), "repositoryKey": at.repo, "path": e.stored.dir(), "name": e.stored.name, "sha256": e.stored.blob.sha256,
		"verified": verified, "signingKey": object{"alias": e.alias, "publicKey": e.publicKey},
		"createdBy": e.createdBy, "createdAt": e.createdAt, "providerId": e.provider,
		"subject":     object{"sha256": e.digest, "repositoryKey": e.subject.repo, "path": strings.Join(subject, "/"), "name": e.subject.name()},
		"attachments": attachments,
	}
}
