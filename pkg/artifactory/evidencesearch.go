package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// maxEvidenceFound bounds how many pieces of evidence, of whatever kind, are looked through for those of ours.
const maxEvidenceFound = 2000

// evidenceNode is one piece of evidence as a search shows it. Only fields that JFrog's own clients ask for are here: a
// server refuses a query for a field that it does not know.
type evidenceNode struct {
	DownloadPath  string    `json:"downloadPath"`
	PredicateType string    `json:"predicateType"`
	CreatedAt     string    `json:"createdAt"`
	Verified      looseBool `json:"verified"`
	Subject       struct {
		SHA256 string `json:"sha256"`
	} `json:"subject"`

	ref     artifact.Ref
	content []byte
}

// created is zero when the server's time cannot be read.
func (n *evidenceNode) created() time.Time { return parseTime(n.CreatedAt) }

const evidenceQuery = `{ evidence { searchEvidence( %swhere: { hasSubjectWith: { repositoryKey: %s, path: %s, name: %s }} ) ` +
	`{ totalCount edges { cursor node { downloadPath predicateType createdAt verified subject { sha256 } } } } } }`

type evidencePage struct {
	Data struct {
		Evidence struct {
			Search *struct {
				Total int `json:"totalCount"`
				Edges []struct {
					Cursor string       `json:"cursor"`
					Node   evidenceNode `json:"node"`
				} `json:"edges"`
			} `json:"searchEvidence"`
		} `json:"evidence"`
	} `json:"data"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// evidence finds and fetches the evidence of our kind about the subject's bytes: first what Artifactory has verified, then
// the newest. What comes together with ErrTooMany is not all.
func (c *Client) evidence(ctx context.Context, subject artifact.Subject) ([]evidenceNode, error) {
	found, cut, err := c.searchEvidence(ctx, subject)
	if err != nil {
		return nil, c.evidenceError(ctx, subject.Ref, "searching evidence", err)
	}
	if len(found) > maxEvidence {
		cut = fmt.Errorf("%w pieces of evidence of our kind: there are %d, %d are read; delete those that nobody needs", ErrTooMany, len(found), maxEvidence)
	}
	slices.SortStableFunc(found, func(a, b evidenceNode) int {
		switch {
		case a.Verified == b.Verified:
			return b.created().Compare(a.created())
		case bool(a.Verified):
			return -1
		}
		return 1
	})
	var fetched []evidenceNode
	for _, n := range found[:min(maxEvidence, len(found))] {
		if n.ref, err = artifact.ParseRef(c.name, n.DownloadPath); err != nil || n.ref.Repo != subject.Ref.Repo {
			continue // it cannot be fetched, or is not kept where evidence about this file is
		}
		n.content, err = c.read(ctx, n.ref, maxEvidenceSize)
		if isGone(err) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrPath) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", n.ref, err)
		}
		fetched = append(fetched, n)
	}
	return fetched, cut
}

// isOurs reports whether a piece of evidence can be ours, about the subject's bytes.
func (n *evidenceNode) isOurs(subject artifact.Subject) bool {
	return n.PredicateType == evidencePredicate && (n.Subject.SHA256 == "" || strings.EqualFold(n.Subject.SHA256, subject.SHA256.String()))
}

// searchEvidence asks as JFrog's own client does, without a page size; only when the answer is not all there is does it
// ask on from where that ended. cut is ErrTooMany when it gave up before the end.
func (c *Client) searchEvidence(ctx context.Context, subject artifact.Subject) (found []evidenceNode, cut, err error) {
	if _, err := c.itemPath(subject.Ref); err != nil {
		return nil, nil, err
	}
	after, seen := "", 0
	for {
		page, err := c.evidencePage(ctx, subject.Ref, after)
		if err != nil {
			return nil, nil, err
		}
		edges, total := page.Data.Evidence.Search.Edges, page.Data.Evidence.Search.Total
		for _, e := range edges {
			if e.Node.isOurs(subject) {
				found = append(found, e.Node)
			}
		}
		seen += len(edges)
		switch {
		case len(edges) == 0, seen >= total, edges[len(edges)-1].Cursor == "":
			return found, nil, nil
		case seen >= maxEvidenceFound:
			return found, fmt.Errorf("%w pieces of evidence: there are %d, %d are looked through; delete those that nobody needs", ErrTooMany, total, maxEvidenceFound), nil
		}
		after = "after: " + quoted(edges[len(edges)-1].Cursor) + ", "
	}
}

func (c *Client) evidencePage(ctx context.Context, ref artifact.Ref, after string) (evidencePage, error) {
	var page evidencePage
	body, err := json.Marshal(map[string]string{"query": fmt.Sprintf(evidenceQuery, after, quoted(ref.Repo), quoted(ref.Dir()), quoted(ref.Name()))})
	if err != nil {
		return page, err
	}
	err = c.do(ctx, request{
		call: callEvidence, method: http.MethodPost, body: body, headers: map[string]string{"Content-Type": "application/json"},
		url: c.platform() + "onemodel/api/v1/graphql",
	}, func(resp *http.Response) error {
		page = evidencePage{}
		return decodeInto(&page)(resp)
	})
	if err == nil && len(page.Errors) > 0 {
		err = fmt.Errorf("searching evidence: the server says: %s", message([]byte(page.Errors[0].Message)))
	}
	if err == nil && page.Data.Evidence.Search == nil {
		err = errors.New("searching evidence: the answer holds none of it")
	}
	return page, err
}

// quoted is a string as GraphQL writes it, which is JSON's way.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a string
	return string(b)
}
