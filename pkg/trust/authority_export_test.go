package trust

import "time"

// SetUptime gives the authority another measure of the time that went by.
func (a *Authority) SetUptime(f func() time.Duration) { a.uptime = f }
