package custodian

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/remote"
	"bonded/internal/seal"
	"bonded/internal/yamlstrict"
	"bonded/verify"
)

// Names of what the folder holds.
const (
	fileConfig    = "custodian.yaml"
	fileDirectory = "cells.json"
	fileApprovals = "cells.json.approvals"
	filePublic    = "public.json"
	fileMaster    = "master.key"
	fileSecrets   = "secrets.sealed"
	fileCustody   = "custody.json"
	fileLog       = "decisions.jsonl"
)

// A Config is custodian.yaml.
type Config struct {
	ID           string        `yaml:"id" required:"true"`           // as custodians and front door know this custodian
	Organisation string        `yaml:"organisation" required:"true"` // whoever employs the custodian; never that of a requester
	Cell         bonded.CellID `yaml:"cell" required:"true"`
	URL          string        `yaml:"url"`        // of the front door; absent: the api address in the directory
	Government   string        `yaml:"government"` // ISO 3166-1 alpha-2 of the state whose government the organisation belongs to; absent: none
	MaxLife      string        `yaml:"max_life"`   // longest life of a release it signs for; absent: 2160h
}

// secrets are what the folder seals.
type secrets struct {
	Approval  []byte `json:"approval"`            // seed of the Ed25519 approval key
	Transport []byte `json:"transport"`           // of the next ceremony
	Share     []byte `json:"share,omitempty"`     // of the key set in force
	Ceremony  string `json:"ceremony,omitempty"`  // that is being held
	State     []byte `json:"state,omitempty"`     // of it
	Next      []byte `json:"next,omitempty"`      // share of a key set that is certified and not witnessed yet
	Dealing   []byte `json:"dealing,omitempty"`   // transport key of the ceremony being held
	Confirmed string `json:"confirmed,omitempty"` // hexadecimal digest of the certificate Next belongs to
}

// A Public is what a custodian lets others know, for the parameters of a
// ceremony. The transport key is good for one ceremony.
type Public struct {
	ID           string        `json:"id"`
	Organisation string        `json:"organisation"`
	Cell         bonded.CellID `json:"cell"`
	Approval     string        `json:"approval_key"`  // Ed25519, base64
	Transport    string        `json:"transport_key"` // MLKEM768-X25519, base64
}

// A Folder is a custodian's folder, open. It is safe for concurrent use.
type Folder struct {
	dir  string
	conf Config
	raw  []byte // of the directory
	all  *verify.Directory
	cell *verify.DirectoryCell
	wits *verify.WitnessPolicy
	now  func() time.Time

	mu     sync.Mutex
	master seal.Key
	sec    secrets
	chain  []*accepted
}

// Options of [Init] and [Open].
type Options struct {
	Passphrase []byte           // seals the folder's secrets; the caller wipes it
	Now        func() time.Time // nil means time.Now
}

func (o *Options) clock() func() time.Time {
	if o.Now != nil {
		return o.Now
	}
	return time.Now
}

// Init makes a custodian's folder, which must be absent or empty, with fresh
// keys, sealed by the passphrase. The directory and its signature are copied:
// from then on they are what the custodian goes by.
func Init(dir string, c Config, directory, signature []byte, o Options) (*Folder, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: dir, Message: "this folder is not empty", Hint: "name a new folder"}
	}
	if len(o.Passphrase) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Message: "a custodian's secrets are sealed: the passphrase is missing", Hint: "give --passphrase-file"}
	}
	f := &Folder{dir: dir, conf: c, now: o.clock()}
	if err := f.useDirectory(directory, signature); err != nil {
		return nil, err
	}
	if !bonded.ValidName(c.ID) || c.Organisation == "" {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "id", Message: "not a name for a custodian, or no organisation", Hint: "an id has up to 64 characters a–z, 0–9, '_', '-' and '.', beginning with a letter"}
	}
	// 1. Keys.
	_, priv, _ := ed25519.GenerateKey(rand.Reader) // never fails since Go 1.24
	f.sec.Approval = priv.Seed()
	if err := f.newTransport(); err != nil {
		return nil, err
	}
	var master [seal.KeySize]byte
	_, _ = rand.Read(master[:])
	key, err := seal.KeyFromBytes(master[:])
	if err != nil {
		return nil, err
	}
	f.master = key
	sealed, err := seal.SealWithPassphrase(o.Passphrase, f.label("master"), master[:])
	clear(master[:])
	if err != nil {
		return nil, err
	}
	// 2. Files, the secrets last.
	conf := fmt.Sprintf("id: %s\norganisation: %q\ncell: %s\n", c.ID, c.Organisation, c.Cell)
	if c.URL != "" {
		conf += fmt.Sprintf("url: %q\n", c.URL)
	}
	if c.Government != "" {
		conf += fmt.Sprintf("government: %s\n", c.Government)
	}
	for _, w := range []struct {
		name string
		b    []byte
	}{{fileConfig, []byte(conf)}, {fileDirectory, directory}, {fileDirectory + ".sig", signature}, {fileMaster, sealed}} {
		if err := remote.WriteFile(filepath.Join(dir, w.name), w.b); err != nil {
			return nil, err
		}
	}
	return f, f.save()
}

// Open opens a custodian's folder with its passphrase.
func Open(dir string, o Options) (*Folder, error) {
	f := &Folder{dir: dir, now: o.clock()}
	// 1. Configuration and directory.
	path := filepath.Join(dir, fileConfig)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "there is no custodian in this folder", Hint: "bonded-custodian init makes one", Err: err}
	}
	if err := yamlstrict.Decode(path, text, &f.conf); err != nil {
		return nil, err
	}
	if d, err := time.ParseDuration(f.conf.MaxLife); f.conf.MaxLife != "" && (err != nil || d <= 0) {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "max_life is not a duration", Hint: "write hours, such as max_life: 720h", Err: err}
	}
	directory, err := os.ReadFile(filepath.Join(dir, fileDirectory))
	signature, err2 := os.ReadFile(filepath.Join(dir, fileDirectory+".sig"))
	if err := errors.Join(err, err2); err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the directory of this custodian cannot be read")
	}
	if err := f.useDirectory(directory, signature); err != nil {
		return nil, err
	}
	// 2. Secrets.
	sealed, err := os.ReadFile(filepath.Join(dir, fileMaster))
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeConfig, err, "the custodian's master key cannot be read")
	}
	master, err := seal.OpenWithPassphrase(o.Passphrase, f.label("master"), sealed)
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: filepath.Join(dir, fileMaster), Message: "the passphrase is wrong, or the file is altered", Err: err}
	}
	f.master, err = seal.KeyFromBytes(master)
	clear(master)
	if err != nil {
		return nil, err
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	// 3. The key sets accepted before.
	return f, f.loadChain()
}

func (f *Folder) label(what string) string { return "custodian/" + f.conf.ID + "/" + what }

// useDirectory checks a directory with its signature and finds the cell.
func (f *Folder) useDirectory(file, sig []byte) error {
	d, err := verify.ParseDirectory(file)
	if err != nil {
		return err
	}
	if !verify.CheckDirectorySignature(d, file, sig) {
		return &bonded.Error{Code: bonded.CodeConfig, Field: fileDirectory, Message: "the directory is not signed by the administrator it names", Hint: "copy cells.json and cells.json.sig together"}
	}
	c, ok := d.Cell(f.conf.Cell)
	if !ok {
		return &bonded.Error{Code: bonded.CodeConfig, Field: "cell", Message: "the directory has no cell " + string(f.conf.Cell)}
	}
	if f.wits, err = verify.ParseWitnessPolicy([]byte(c.WitnessPolicy)); err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "the directory's witness policy is not usable")
	}
	f.all, f.raw, f.cell = d, file, c
	return nil
}

// Directory returns the directory that the custodian goes by.
func (f *Folder) Directory() *verify.Directory { return f.all }

// Config returns the folder's configuration.
func (f *Folder) Config() Config { return f.conf }

// Cell returns the cell whose shares this custodian holds.
func (f *Folder) Cell() bonded.CellID { return f.conf.Cell }

// Person returns the id by which the front door knows this custodian.
func (f *Folder) Person() string { return "custodian:" + f.conf.ID }

// Key returns the approval key, which also signs calls.
func (f *Folder) Key() ed25519.PrivateKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ed25519.NewKeyFromSeed(f.sec.Approval)
}

// Public returns what others need for the parameters of the next ceremony.
func (f *Folder) Public() (*Public, error) {
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return f.public()
}

func (f *Folder) public() (*Public, error) {
	t, err := quorum.ParseTransportKey(f.sec.Transport)
	if err != nil {
		return nil, err
	}
	pub, ok := ed25519.NewKeyFromSeed(f.sec.Approval).Public().(ed25519.PublicKey)
	if !ok {
		return nil, bonded.Errorf(bonded.CodeInternal, "not an Ed25519 key")
	}
	tp := t.Public()
	return &Public{f.conf.ID, f.conf.Organisation, f.conf.Cell, verify.EncodePublicKey(pub), base64.StdEncoding.EncodeToString(tp[:])}, nil
}

// newTransport makes the transport key of the next ceremony. The caller holds
// mu or is alone.
func (f *Folder) newTransport() error {
	t, err := quorum.NewTransportKey()
	if err != nil {
		return err
	}
	f.sec.Transport = t.Bytes()
	return nil
}

// save seals the secrets and writes public.json. The caller holds mu or is
// alone.
func (f *Folder) save() error {
	b, err := json.Marshal(&f.sec)
	if err != nil {
		return fmt.Errorf("encode secrets: %w", err)
	}
	defer clear(b)
	sealed, err := f.seal(b)
	if err != nil {
		return err
	}
	if err := remote.WriteFile(filepath.Join(f.dir, fileSecrets), sealed); err != nil {
		return err
	}
	p, err := f.public()
	if err != nil {
		return err
	}
	out, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode public keys: %w", err)
	}
	return remote.WriteFile(filepath.Join(f.dir, filePublic), append(out, '\n'))
}

// seal seals in pieces: the state of a large ceremony is longer than one
// sealed secret may be.
func (f *Folder) seal(b []byte) ([]byte, error) {
	var pieces [][]byte
	for i := 0; len(b) > 0; i++ {
		n := min(len(b), seal.MaxSecret)
		p, err := seal.SealSecret(f.master, f.label(fmt.Sprintf("secrets/%d/%t", i, n == len(b))), b[:n])
		if err != nil {
			return nil, err
		}
		pieces, b = append(pieces, p), b[n:]
	}
	return json.Marshal(pieces)
}

func (f *Folder) load() error {
	path := filepath.Join(f.dir, fileSecrets)
	file, err := os.ReadFile(path) //nolint:gosec // inside the custodian's folder
	if err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "the custodian's secrets cannot be read")
	}
	altered := &bonded.Error{Code: bonded.CodeAltered, Field: path, Message: "the custodian's secrets do not open: the file is altered"}
	var pieces [][]byte
	if json.Unmarshal(file, &pieces) != nil {
		return altered
	}
	var all []byte
	defer func() { clear(all) }()
	for i, p := range pieces {
		b, err := seal.OpenSecret(f.master, f.label(fmt.Sprintf("secrets/%d/%t", i, i == len(pieces)-1)), p)
		if err != nil {
			return altered
		}
		all = append(all, b...)
		clear(b)
	}
	var sec secrets
	if json.Unmarshal(all, &sec) != nil || len(sec.Approval) != ed25519.SeedSize {
		return altered
	}
	f.sec = sec
	return nil
}

// note adds a line to the custodian's own book of what it decided.
func (f *Folder) note(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode decision: %w", err)
	}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(f.dir, fileLog)
	if old, err := os.ReadFile(path); err == nil && len(old) > 0 && old[len(old)-1] != '\n' {
		b = append([]byte{'\n'}, b...) // the line before was cut off while it was written
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return bonded.Wrap(bonded.CodeNotWritable, err, "the custodian's book cannot be written")
	}
	_, err = file.Write(append(b, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return bonded.Wrap(bonded.CodeNotWritable, err, "the custodian's book cannot be written")
	}
	return nil
}

// Decisions calls each with every line of the custodian's own book, oldest
// first.
func (f *Folder) Decisions(each func(Decision) error) error {
	b, err := os.ReadFile(filepath.Join(f.dir, fileLog))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read decisions: %w", err)
	}
	for _, line := range splitLines(b) {
		var d Decision
		if err := json.Unmarshal(line, &d); err != nil {
			continue // cut off while it was written: nothing was signed after it
		}
		if err := each(d); err != nil {
			return err
		}
	}
	return nil
}

func splitLines(b []byte) (lines [][]byte) {
	start := 0
	for i := range b {
		if b[i] == '\n' { // a last line without its end was cut off while it was written
			lines = append(lines, b[start:i])
			start = i + 1
		}
	}
	return lines
}
