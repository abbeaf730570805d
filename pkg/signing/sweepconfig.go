package signing

import (
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// SweepConfig tunes the sweep. The zero value is good.
type SweepConfig struct {
	Off       bool          `yaml:"off" doc:"no sweeps by themselves; what is asked for by hand still runs. A lost webhook is then lost"`
	Every     time.Duration `yaml:"every" doc:"pause between two sweeps of a repository that a policy names" default:"5m"`
	FullEvery time.Duration `yaml:"fullEvery" doc:"pause between two sweeps that look at everything, however old; it signs what policy matches and was there before Hallmark" default:"never"`
	PageSize  int           `yaml:"pageSize" doc:"files asked for at once" default:"500"`
	Delay     time.Duration `yaml:"delay" doc:"age below which a file is left to its webhook" default:"1m"`
	Overlap   time.Duration `yaml:"overlap" doc:"how far a sweep looks back behind the last one; clocks of Artifactory's nodes may differ by less" default:"10m"`
}

// Validate reports everything that is wrong, at once.
func (c SweepConfig) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"every", c.Every}, {"fullEvery", c.FullEvery}, {"delay", c.Delay}, {"overlap", c.Overlap}} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", d.name))
		}
	}
	if c.PageSize < 0 || c.PageSize > artifactory.MaxPage {
		errs = append(errs, fmt.Errorf("pageSize is %d; 1 to %d are allowed", c.PageSize, artifactory.MaxPage))
	}
	return errors.Join(errs...)
}

func (c SweepConfig) withDefaults() SweepConfig {
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&c.Every, 5 * time.Minute}, {&c.Delay, time.Minute}, {&c.Overlap, 10 * time.Minute}} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
	}
	if c.PageSize == 0 {
		c.PageSize = 500
	}
	return c
}
