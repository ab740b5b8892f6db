package deploy

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"bonded"
)

// Witnesses is how many witnesses [Create] makes; two of them must cosign.
const Witnesses = 3

// A Plan says what [Create] makes.
type Plan struct {
	Cells   []CellPlan
	Default bonded.CellID
	Witness [Witnesses]string // host:port of each
	Bin     string            // folder of the programs

	AnchorEvery string // as in vault.yaml
	UndoWindow  string // as in vault.yaml and keyholder.yaml
	WaitingTime string // as in vault.yaml and keyholder.yaml
	Schema      []byte // YAML of the collections; nil for [DefaultSchema]
	Budget      uint32 // distinct subjects an hour of the application's grant
	FrontDoor   bool   // every cell takes cases; its custodians and register come after the start, see package foundation
}

// A CellPlan is one cell of a [Plan].
type CellPlan struct {
	ID            bonded.CellID
	Jurisdictions []bonded.Jurisdiction
	Suite         string // "aes-256-gcm" or "sm4-gcm"
	API           string // host:port of plain HTTP on loopback
	APITLS        string // host:port of HTTPS
	Metrics       string
	Keyholder     string // host:port of the keyholder's line
}

// ConsoleOrigin is where browsers find the console of a cell on one machine:
// passkeys are bound to a name, so that it is not the address.
func (c *CellPlan) ConsoleOrigin() string {
	_, port, _ := net.SplitHostPort(c.API)
	return "http://localhost:" + port
}

// DevPlan is two cells on loopback: cn under SM4 and eu, the default, under
// AES. Ports count from base; 0 takes free ones.
func DevPlan(base int) (*Plan, error) {
	p := &Plan{
		Cells: []CellPlan{
			{ID: "cn", Jurisdictions: []bonded.Jurisdiction{"CN"}, Suite: "sm4-gcm"},
			{ID: "eu", Jurisdictions: []bonded.Jurisdiction{"EU"}, Suite: "aes-256-gcm"},
		},
		Default: "eu", AnchorEvery: "1s", UndoWindow: "24h", WaitingTime: "0s", Budget: 100_000,
	}
	return p, p.assign(base)
}

// assign gives every listener its address.
func (p *Plan) assign(base int) error {
	var want []*string
	for i := range p.Cells {
		c := &p.Cells[i]
		want = append(want, &c.API, &c.APITLS, &c.Metrics, &c.Keyholder)
	}
	for i := range p.Witness {
		want = append(want, &p.Witness[i])
	}
	if base < 0 || base+len(want) > 65535 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--port", Message: "not a first port", Hint: fmt.Sprintf("1 to %d, or 0 for free ones", 65535-len(want))}
	}
	if base != 0 {
		for i, w := range want {
			*w = fmt.Sprintf("127.0.0.1:%d", base+i)
			l, err := net.Listen("tcp", *w) //nolint:noctx // returns at once
			if err != nil {
				return &bonded.Error{
					Code: bonded.CodeInvalid, Field: "--port", Message: *w + " is in use", Err: err,
					Hint: fmt.Sprintf("choose another first port: %d ports from it must be free", len(want)),
				}
			}
			if err := l.Close(); err != nil {
				return fmt.Errorf("look for a free port: %w", err)
			}
		}
		return nil
	}
	// Free ports: all are held open until every one is known, so that none is
	// given twice.
	for _, w := range want {
		l, err := ListenFree()
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // held until all are found, on purpose
		*w = l.Addr().String()
	}
	return nil
}

// ListenFree listens at a free port of loopback for a process that is started
// there once the listener is closed: no outgoing connection takes the port
// before, for the systems we know give those from 32768 up.
func ListenFree() (net.Listener, error) {
	const first, last, tries = 20000, 32767, 100
	var err error
	for range tries {
		var l net.Listener
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(last-first+1))) //nolint:gosec // a port is no secret
		if l, err = net.Listen("tcp", address); err == nil {                                  //nolint:noctx // returns at once
			return l, nil
		}
	}
	return nil, err
}
