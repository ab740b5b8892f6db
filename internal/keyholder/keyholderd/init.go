package keyholderd

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"bonded"
	"bonded/internal/keyholder"
	"bonded/internal/remote"
	"bonded/verify"
)

// InitOptions say how a new keyholder is made.
type InitOptions struct {
	Cell       bonded.CellID
	Suite      string // "aes-256-gcm" or "sm4-gcm"
	Listen     string
	UndoWindow time.Duration

	// WaitingTime is how long an announced grant set, policy or directory
	// waits until it takes effect.
	WaitingTime time.Duration

	Passphrase []byte // seals the driver key; unused if Shares is above 0
	Shares     int    // number of unseal shares; 0 for a passphrase
	Threshold  int    // how many of them unseal
	SharesDir  string // where each share is written to a file of its own
}

// Public is public.json: what others must know of a keyholder. Keys are
// standard base64.
type Public struct {
	Cell   bonded.CellID `json:"cell"`
	Key    string        `json:"keyholder_key"`
	HPKE   string        `json:"keyholder_hpke"`
	CA     string        `json:"keyholder_ca"` // PEM
	Listen string        `json:"listen"`
	Suite  string        `json:"suite"`
}

const configTemplate = `# Keyholder of cell %[1]s. bonded-keyholder reads this file strictly: an unknown
# or missing key stops the start. docs/configuration.md explains every key.
cell: %[1]s
listen: %[2]s
directory: cells.json
policy: policy.cedar
grants: grants.json

# An erasure must have been witnessed this long before its key is destroyed.
undo_window: %[3]s
destroy_per_hour: 1000

# From when witnesses saw that the ledger announces a grant set, a policy or a
# directory until it takes effect. What only takes away does not wait.
waiting_time: %[4]s

# Nothing unlocks without a cosigned checkpoint younger than this.
freshness: 15m

# After an erasure the cell key rotates within rotate_after, and the old one is
# destroyed old_cell_key later: from then on backups are dead for that person.
rotate_after: 168h
old_cell_key: 168h

# No grant may go beyond these, whoever signed it.
ceilings:
  budget: 20000000 # distinct subjects an hour
  validity: 8800h
  bearer: true # whether grants may allow requests without a proof
`

// Init makes a keyholder's folder. It refuses a folder that has one.
func Init(ctx context.Context, dir string, o InitOptions, now time.Time) (*Public, error) {
	if _, err := os.Stat(filepath.Join(dir, "keyring.json")); err == nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: dir, Message: "there is a keyholder in this folder already"}
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "listen", Message: "not an address", Hint: "write it as 127.0.0.1:7440", Err: err}
	}
	// 1. The driver key.
	driver, err := makeDriver(dir, o)
	if err != nil {
		return nil, err
	}
	defer driver.Lock()
	// 2. The secrets under it.
	keyring, pub, err := keyholder.NewKeyring(ctx, driver, o.Cell, o.Suite, now)
	if err != nil {
		return nil, err
	}
	// 3. Certificates.
	ca, err := remote.NewAuthority("bonded keyholder "+string(o.Cell), now)
	if err != nil {
		return nil, err
	}
	tlsDir := filepath.Join(dir, "tls")
	if err := ca.Save(tlsDir); err != nil {
		return nil, err
	}
	if err := ca.IssueFiles(tlsDir, leaf(o.Cell, host), now); err != nil {
		return nil, err
	}
	// 4. The rest; the keyring last, it marks the folder as made.
	public := &Public{
		Cell: o.Cell, Key: verify.EncodePublicKey(pub.Key), HPKE: base64.StdEncoding.EncodeToString(pub.HPKE),
		CA: string(ca.PEM()), Listen: o.Listen, Suite: o.Suite,
	}
	text, err := json.MarshalIndent(public, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode public keys: %w", err)
	}
	config := fmt.Sprintf(configTemplate, o.Cell, o.Listen, o.UndoWindow, o.WaitingTime)
	for _, f := range []struct {
		name string
		data []byte
	}{{"keyholder.yaml", []byte(config)}, {"public.json", append(text, '\n')}, {"keyring.json", keyring}} {
		if err := remote.WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return public, nil
}

func makeDriver(dir string, o InitOptions) (*keyholder.FileDriver, error) {
	path := filepath.Join(dir, "driver.key")
	if o.Shares == 0 {
		file, err := keyholder.NewFileDriver(o.Passphrase)
		if err != nil {
			return nil, bonded.Wrap(bonded.CodeConfig, err, "a passphrase is needed, or shares")
		}
		if err := remote.WriteFile(path, file); err != nil {
			return nil, fmt.Errorf("write driver file: %w", err)
		}
		d := keyholder.OpenFileDriver(path)
		return d, d.UnlockPassphrase(o.Passphrase)
	}
	if o.SharesDir == "" {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "shares-dir", Message: "where to write the shares is missing"}
	}
	file, shares, key, err := keyholder.NewSharedDriver(o.Shares, o.Threshold)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, err.Error())
	}
	for i, s := range shares {
		if err := remote.WriteFile(filepath.Join(o.SharesDir, fmt.Sprintf("share-%d.txt", i+1)), []byte(s+"\n")); err != nil {
			return nil, fmt.Errorf("write share: %w", err)
		}
	}
	if err := remote.WriteFile(path, file); err != nil {
		return nil, fmt.Errorf("write driver file: %w", err)
	}
	return keyholder.UnlockedDriver(key), nil
}

func leaf(cell bonded.CellID, host string) remote.Leaf {
	hosts := []string{"localhost"}
	if host != "" && host != "localhost" {
		hosts = append(hosts, host)
	}
	return remote.Leaf{Cell: cell, Role: remote.RoleKeyholder, Hosts: hosts}
}
