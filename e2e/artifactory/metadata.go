package artifactory

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// patchMetadata answers PATCH api/metadata: null deletes a key, a string or list replaces it, other keys stay.
func (s *Server) patchMetadata(w http.ResponseWriter, r *http.Request, c call) error {
	if err := permission(c.by, c.at.repo, 'a'); err != nil {
		return err
	}
	recursive := true // JFrog's default, for folders
	for _, q := range c.query {
		switch q.key {
		case "recursiveProperties":
			recursive = q.value != "0"
		case "atomicProperties": // always so here
		default:
			return unsupported("the query parameter %q is not implemented here", q.key)
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return refuse(http.StatusBadRequest, "The body could not be read: %v", err)
	}
	pairs, gone, err := decodePatch(body)
	if err != nil {
		return err
	}
	set, err := s.properties(pairs)
	if err != nil {
		return err
	}
	return s.changeProperties(w, c, recursive, set, gone)
}

func decodePatch(body []byte) (set []pair, gone []string, err error) {
	var patch struct {
		Props map[string]json.RawMessage `json:"props"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&patch); err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "The body is not a metadata patch: %v", err)
	}
	if len(patch.Props) == 0 {
		return nil, nil, refuse(http.StatusBadRequest, "The metadata patch has no properties")
	}
	for key, raw := range patch.Props {
		var one string
		var many []string
		switch {
		case string(raw) == "null":
			gone = append(gone, key)
		case json.Unmarshal(raw, &one) == nil:
			set = append(set, pair{key, one})
		case json.Unmarshal(raw, &many) == nil:
			for _, v := range many {
				set = append(set, pair{key, v})
			}
		default:
			return nil, nil, refuse(http.StatusBadRequest, "The value of property '%s' is neither a string nor a list of strings", key)
		}
	}
	return set, gone, nil
}
