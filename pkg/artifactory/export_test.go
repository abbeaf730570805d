package artifactory

import "time"

// SetNow replaces the clock by which answers get old.
func (c *Client) SetNow(now func() time.Time) { c.repositories.now = now }
