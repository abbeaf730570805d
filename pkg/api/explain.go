package api

// explain answers GET /v1/policy/explain?ref=repository/path with a policy.Explanation. The parameter event
// ("domain/type") asks as if that event had come; without it, as if somebody had asked for the artifact by name. The
// artifact need not exist.
func (s *server) explain(c *call) (any, error) {
	q, err := c.query("ref", "instance", "event")
	if err != nil {
		return nil, err
	}
	ref, err := s.ref(c, "ref", q.Get("instance"), q.Get("ref"))
	if err != nil {
		return nil, err
	}
	return s.deps.Explain(ref, q.Get("event")), nil
}
