package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

const gateBody = `{"artifact":"staging/app.tgz","target":"release"}`

// Every route against every token: what a role does not open stays shut, and nothing behind it runs.
func TestRoles(t *testing.T) {
	t.Parallel()
	routes := []struct{ method, target, body, token string }{
		{http.MethodPost, pathGate, gateBody, tokenGate},
		{http.MethodPost, pathSign, `{"artifact":"staging/app.tgz"}`, tokenSign},
		{http.MethodGet, pathStatus + "?ref=staging/app.tgz", "", tokenStatus},
		{http.MethodGet, pathExplain + "?ref=staging/app.tgz", "", tokenStatus},
	}
	for _, route := range routes {
		for _, token := range []string{tokenGate, tokenSign, tokenStatus, tokenAll} {
			r := newRig(t)
			w := r.call(route.method, route.target, token, route.body)
			if token == route.token || token == tokenAll {
				require.Equal(t, 2, w.Code/100, "%s %s", route.target, w.Body.String())
				continue
			}
			require.Equal(t, http.StatusForbidden, w.Code)
			require.Contains(t, problemIn(t, w).Detail, "lacks the role")
			require.Empty(t, r.wished)
			require.Empty(t, r.looked)
			require.Empty(t, r.asked)
		}
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		auth []string
		want int
	}{
		"right":                  {[]string{"Bearer " + tokenGate}, 200},
		"scheme in other case":   {[]string{"bearer " + tokenGate}, 200},
		"no header":              {nil, 401},
		"empty token":            {[]string{"Bearer "}, 401},
		"blank token":            {[]string{"Bearer    "}, 401},
		"no scheme":              {[]string{tokenGate}, 401},
		"basic":                  {[]string{"Basic " + tokenGate}, 401},
		"wrong":                  {[]string{"Bearer " + tokenGate + "x"}, 401},
		"cut":                    {[]string{"Bearer " + tokenGate[1:]}, 401},
		"the hash in the config": {[]string{"Bearer " + hash(tokenGate)}, 401},
		"twice":                  {[]string{"Bearer " + tokenGate, "Bearer " + tokenGate}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			req := httptest.NewRequest(http.MethodPost, pathGate, strings.NewReader(gateBody))
			for _, a := range c.auth {
				req.Header.Add("Authorization", a)
			}
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, req)
			require.Equal(t, c.want, w.Code)
			if c.want == 401 {
				require.Contains(t, w.Header().Get("WWW-Authenticate"), "Bearer")
				problemIn(t, w)
				require.Empty(t, r.asked)
			} else {
				require.Equal(t, "promoter", r.asked[0].Caller)
			}
			require.Len(t, r.log.all(), 1)
			require.NotContains(t, r.log.all()[0], tokenGate)
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := Token{Name: "ci", SHA256: hash("x"), Roles: []Role{RoleGate}}
	with := func(change func(*Token)) Config {
		bad := good
		change(&bad)
		return Config{Instances: []string{"main"}, Tokens: []Token{bad}}
	}
	for want, c := range map[string]Config{
		"no instance is configured": {},
		"has no name":               with(func(t *Token) { t.Name = "" }),
		"a SHA-256 digest has 64":   with(func(t *Token) { t.SHA256 = "abc" }),
		"only 0-9 and a-f":          with(func(t *Token) { t.SHA256 = strings.ToUpper(t.SHA256) }),
		"that of an empty token":    with(func(t *Token) { t.SHA256 = hash("") }),
		"has no roles":              with(func(t *Token) { t.Roles = nil }),
		`unknown role "root"`:       with(func(t *Token) { t.Roles = []Role{"root"} }),
		"two API tokens are called": {Instances: []string{"main"}, Tokens: []Token{good, good}},
		"has the hash of another":   {Instances: []string{"main"}, Tokens: []Token{good, {Name: "b", SHA256: good.SHA256, Roles: good.Roles}}},
		"an instance has no name":   {Instances: []string{""}},
	} {
		require.ErrorContains(t, c.Validate(), want)
		_, err := New(c, Deps{})
		require.ErrorContains(t, err, want)
	}
	_, err := New(Config{Instances: []string{"main"}}, Deps{})
	require.ErrorContains(t, err, "dependency")
}

// Without tokens everything is shut.
func TestNoTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	deps := r.deps()
	deps.Registerer = prometheus.NewRegistry()
	h, err := New(Config{Instances: []string{"main"}}, deps)
	require.NoError(t, err)
	for _, token := range []string{tokenAll, "", " "} {
		req := httptest.NewRequest(http.MethodPost, pathGate, strings.NewReader(gateBody))
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		require.Equal(t, http.StatusUnauthorized, w.Code)
	}
}
