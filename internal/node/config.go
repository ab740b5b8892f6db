package node

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"bonded"
	"bonded/internal/yamlstrict"
)

// Version is the version of this build, set by the linker.
var Version = "devel"

// A VaultConfig is vault.yaml. Paths count from its folder.
type VaultConfig struct {
	Cell         bonded.CellID `yaml:"cell" required:"true"`
	Node         uint16        `yaml:"node" required:"true"`   // from 1; unique among the nodes of the cell
	Listen       string        `yaml:"listen" required:"true"` // plain HTTP; loopback addresses only
	ListenTLS    string        `yaml:"listen_tls"`             // HTTPS with client certificates; absent: none
	Metrics      string        `yaml:"metrics"`                // Prometheus, plain HTTP, loopback only; absent: none
	Directory    string        `yaml:"directory" required:"true"`
	Schema       string        `yaml:"schema" required:"true"`
	Policy       string        `yaml:"policy" required:"true"`
	Grants       string        `yaml:"grants" required:"true"`
	Portal       string        `yaml:"portal"`                        // manifest.json of the public portal, announced when it changes; absent: none
	AnchorEvery  Duration      `yaml:"anchor_every"`                  // absent: 10s; at most 1m
	Freshness    Duration      `yaml:"freshness"`                     // absent: 15m; nothing opens without a cosigned checkpoint younger than this
	UndoWindow   Duration      `yaml:"undo_window" required:"true"`   // "24h"; "0s" destroys at once
	WaitingTime  Duration      `yaml:"waiting_time"`                  // absent: 24h; from when an announced change was witnessed until it takes effect
	RatePerMin   int           `yaml:"rate_per_minute"`               // calls of one principal; absent: 3000000
	InFlight     int           `yaml:"in_flight"`                     // calls at once; absent: 1024
	RequireProof bool          `yaml:"require_proof" required:"true"` // true: bearer keys are refused whatever the grant says
	Contact      ContactConfig `yaml:"contact"`                       // where people are told of cases about them; absent: nowhere

	FrontDoor *FrontDoorConfig `yaml:"frontdoor"` // absent: the cell takes no cases
	Console   *ConsoleConfig   `yaml:"console"`   // absent: no pages for people
}

// A ContactConfig names the fields that say where a person is told, and in
// which language. They are opened for that alone.
type ContactConfig struct {
	Collection string `yaml:"collection"`
	Address    string `yaml:"address"`  // field, such as email
	Language   string `yaml:"language"` // field with a BCP 47 tag; absent: the cell's language
}

// A WitnessConfig is witness.yaml.
type WitnessConfig struct {
	Name      string `yaml:"name" required:"true"`   // key name, such as "witness-1.example"
	Listen    string `yaml:"listen" required:"true"` // HTTPS with client certificates of the vaults in the directory
	Directory string `yaml:"directory" required:"true"`
}

// A Duration is written as Go writes it: "10s", "24h".
type Duration struct{ time.Duration }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return errors.New("not a duration such as 10s, 15m or 24h")
	}
	d.Duration = v
	return nil
}

// LoadVaultConfig reads DIR/vault.yaml.
func LoadVaultConfig(dir string) (*VaultConfig, error) {
	c := &VaultConfig{
		AnchorEvery: Duration{10 * time.Second}, Freshness: Duration{15 * time.Minute},
		WaitingTime: Duration{24 * time.Hour}, RatePerMin: 3_000_000, InFlight: 1024,
	}
	if err := load(dir, "vault.yaml", c); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadWitnessConfig reads DIR/witness.yaml.
func LoadWitnessConfig(dir string) (*WitnessConfig, error) {
	c := new(WitnessConfig)
	if err := load(dir, "witness.yaml", c); err != nil {
		return nil, err
	}
	return c, nil
}

func load(dir, name string, into any) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the folder
	if errors.Is(err, fs.ErrNotExist) {
		return &bonded.Error{
			Code: bonded.CodeConfig, Message: "no " + name + " in this folder", Field: path,
			Hint: "name a folder made by bonded init or bonded dev", Err: err,
		}
	}
	if err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "configuration cannot be read")
	}
	return yamlstrict.Decode(path, b, into)
}

// Validate implements [yamlstrict.Validator].
func (c *VaultConfig) Validate() error {
	bad := func(field, message, hint string) error {
		return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
	}
	switch {
	case !c.Cell.Valid():
		return bad("cell", "not a cell id", "two to eight characters a–z and 0–9, such as eu")
	case c.Node == 0:
		return bad("node", "nodes are numbered from 1", "")
	case !loopback(c.Listen):
		return bad("listen", "plain HTTP listens on loopback only", "use 127.0.0.1:PORT here and listen_tls for the network")
	case c.Metrics != "" && !loopback(c.Metrics):
		return bad("metrics", "metrics listen on loopback only", "use 127.0.0.1:PORT and let your collector run on this host")
	case c.AnchorEvery.Duration < 100*time.Millisecond || c.AnchorEvery.Duration > time.Minute:
		return bad("anchor_every", "out of range", "100ms to 1m")
	case c.Freshness.Duration < 10*time.Second || c.Freshness.Duration > 24*time.Hour:
		return bad("freshness", "out of range", "10s to 24h")
	case c.UndoWindow.Duration > 30*24*time.Hour:
		return bad("undo_window", "out of range", "0s to 720h")
	case c.WaitingTime.Duration > 30*24*time.Hour:
		return bad("waiting_time", "out of range", "0s to 720h")
	case (c.Contact.Collection == "") != (c.Contact.Address == "") || c.Contact.Language != "" && c.Contact.Address == "":
		return bad("contact", "a contact has a collection and an address", "name both, or leave contact out")
	case c.RatePerMin < 1 || c.InFlight < 1:
		return bad("rate_per_minute", "limits are above 0", "")
	}
	return c.Console.validate(c.FrontDoor != nil)
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// resolve returns path as it counts from dir.
func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
