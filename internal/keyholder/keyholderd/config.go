package keyholderd

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"bonded"
	"bonded/internal/keyholder"
	"bonded/internal/yamlstrict"
)

// A Config is keyholder.yaml. Paths count from its folder.
type Config struct {
	Cell           bonded.CellID `yaml:"cell" required:"true"`
	Listen         string        `yaml:"listen" required:"true"` // host:port of the line to the vault
	Directory      string        `yaml:"directory" required:"true"`
	Policy         string        `yaml:"policy" required:"true"`
	Grants         string        `yaml:"grants"`                           // a set put here is installed by itself; absent: only by hand
	PassphraseFile string        `yaml:"passphrase_file"`                  // absent: starts sealed
	UndoWindow     Duration      `yaml:"undo_window" required:"true"`      // least age of a witnessed erasure before its key is destroyed; "0s" only for tests
	Freshness      Duration      `yaml:"freshness"`                        // absent: 15m; at most 24h
	DestroyPerHour uint32        `yaml:"destroy_per_hour" required:"true"` // whatever grants say
	ReleasePerHour uint32        `yaml:"release_per_hour"`                 // distinct people an hour whose keys go to requesters of cases; absent: 10000
	OldCellKey     Duration      `yaml:"old_cell_key"`                     // how long an old cell key lives; absent: 168h
	RotateAfter    Duration      `yaml:"rotate_after"`                     // an erasure makes the cell key rotate after this; absent: 168h; with old_cell_key at most 720h
	WaitingTime    Duration      `yaml:"waiting_time"`                     // from when an announced grant set, policy or directory was witnessed until it takes effect; absent: 24h; at most 720h
	CachedKeys     int           `yaml:"cached_keys"`                      // wrapped subject keys in memory, about 160 B each; absent: 500000
	Ceilings       Ceilings      `yaml:"ceilings" required:"true"`
}

// Ceilings bound what a grant may say.
type Ceilings struct {
	Budget   uint32   `yaml:"budget" required:"true"`   // distinct subjects an hour
	Validity Duration `yaml:"validity" required:"true"` // from not_before to not_after
	Bearer   bool     `yaml:"bearer" required:"true"`   // whether grants may allow requests without a proof
}

// A Duration is written as Go writes it: "15m", "24h".
type Duration struct{ time.Duration }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return &bonded.Error{Code: bonded.CodeConfig, Message: "not a duration", Hint: "write it as 15m or 24h"}
	}
	d.Duration = v
	return nil
}

// Validate implements [yamlstrict.Validator].
func (c *Config) Validate() error {
	bad := func(field, message, hint string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
	}
	if !c.Cell.Valid() {
		return bad("cell", "not a cell id", "two to eight characters a–z and 0–9, such as eu")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return bad("listen", "not an address", "write it as 127.0.0.1:7440")
	}
	switch {
	case c.Freshness.Duration < 10*time.Second || c.Freshness.Duration > keyholder.MaxFreshness:
		return bad("freshness", "out of range", "10s to 24h")
	case c.UndoWindow.Duration > 30*24*time.Hour:
		return bad("undo_window", "out of range", "0s to 720h")
	case c.OldCellKey.Duration+c.RotateAfter.Duration > keyholder.MaxOldCellKey:
		return bad("old_cell_key", "old_cell_key and rotate_after together are at most 720h", "an erased person is out of every backup after that")
	case c.WaitingTime.Duration > keyholder.MaxWaitingTime:
		return bad("waiting_time", "out of range", "0s to 720h")
	case c.DestroyPerHour == 0:
		return bad("destroy_per_hour", "must be above 0", "")
	case c.ReleasePerHour == 0:
		return bad("release_per_hour", "must be above 0", "leave it out for 10000")
	case c.Ceilings.Budget == 0 || c.Ceilings.Validity.Duration == 0:
		return bad("ceilings", "budget and validity must be above 0", "")
	}
	return nil
}

// LoadConfig reads DIR/keyholder.yaml.
func LoadConfig(dir string) (*Config, error) {
	c := &Config{
		Freshness: Duration{keyholder.DefaultFreshness}, OldCellKey: Duration{keyholder.DefaultOldCellKey},
		RotateAfter: Duration{keyholder.DefaultRotateAfter}, WaitingTime: Duration{keyholder.DefaultWaitingTime}, CachedKeys: keyholder.DefaultCachedKeys,
		ReleasePerHour: keyholder.DefaultReleasePerHour,
	}
	path := filepath.Join(dir, "keyholder.yaml")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "no keyholder.yaml in this folder", Hint: "bonded-keyholder init makes one", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if err := yamlstrict.Decode(path, b, c); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) limits() keyholder.Limits {
	return keyholder.Limits{
		Freshness: c.Freshness.Duration, UndoWindow: c.UndoWindow.Duration, DestroyPerHour: c.DestroyPerHour,
		OldCellKey: c.OldCellKey.Duration, RotateAfter: c.RotateAfter.Duration, CachedKeys: c.CachedKeys, ReleasePerHour: c.ReleasePerHour,
		WaitingTime: c.WaitingTime.Duration, MaxBudget: c.Ceilings.Budget, MaxValidity: c.Ceilings.Validity.Duration, AllowBearer: c.Ceilings.Bearer,
	}
}

// at returns path counted from dir.
func at(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
