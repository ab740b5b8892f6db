//go:build unix

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
)

const abroad = "abroad" // a principal that sits in eu and asks in cn

// grantAbroad gives an application of eu keys for cn, to show that place
// decides.
func (s *story) grantAbroad(l deploy.Layout) (*deploy.Credential, error) {
	cred, err := l.Grant(deploy.Principal{
		ID: abroad, Roles: []string{"app"}, Purposes: []bonded.Purpose{"service"},
		Scope: map[string][]string{"users": {"*"}}, Budget: 1000, Valid: time.Hour, Location: "eu",
	}, []bonded.CellID{"cn"}, time.Now())
	if err != nil {
		return nil, err
	}
	return cred, cred.Save(l.Credential(abroad))
}

// wrongPlace asks for what must not be had, each another way.
func (s *story) wrongPlace(ctx context.Context) error {
	who, err := s.app["cn"].Find(ctx, client.FindRequest{Collection: "users", Where: map[string]string{"person_id": s.people.cn.id}})
	if err != nil || len(who.Records) == 0 {
		return fmt.Errorf("look for somebody in cn: %w", err)
	}
	f := who.Records[0]
	read := client.GetRequest{Collection: "users", GetItem: client.GetItem{Subject: &f.Subject, Record: &f.Record, Fields: []string{"name"}}}
	away, err := s.client(abroad, "cn", "service")
	if err != nil {
		return err
	}
	otherPurpose := read
	otherPurpose.Purpose = "advertising"
	person := func(country bonded.Jurisdiction, class ...string) client.PutRequest {
		return client.PutRequest{Collection: "users", PutItem: client.PutItem{
			Values: client.Values{"name": json.RawMessage(`"Nobody In Particular"`)},
			Facts: &client.Facts{
				Residence: []bonded.Jurisdiction{country}, Citizenship: []bonded.Jurisdiction{country}, OperatorClass: class,
			},
		}}
	}
	for _, try := range []struct {
		what string
		want []bonded.Code
		ask  func() error
	}{
		{"an application that sits in eu reads in cn", []bonded.Code{bonded.CodeForbidden}, func() error { _, err := away.Get(ctx, read); return err }},
		{"eu is asked for a person of cn", []bonded.Code{bonded.CodeWrongCell}, func() error { _, err := s.app["eu"].Get(ctx, read); return err }},
		{"eu is given a person whose law says cn", []bonded.Code{bonded.CodeWrongCell}, func() error {
			_, err := s.app["eu"].Put(ctx, person("CN", "cii_operator"))
			return err
		}},
		{"eu is given a person whose law says Russia", []bonded.Code{bonded.CodeNoCell}, func() error { _, err := s.app["eu"].Put(ctx, person("RU")); return err }},
		{"a purpose that nobody granted", []bonded.Code{bonded.CodeForbidden, bonded.CodeUnknownPurpose}, func() error { _, err := s.app["cn"].Get(ctx, otherPurpose); return err }},
	} {
		err := try.ask()
		if err == nil {
			return bonded.Errorf(bonded.CodeInternal, "%s: was not refused", try.what)
		}
		e := problem(err)
		ok := false
		for _, w := range try.want {
			ok = ok || e.Code == w
		}
		if !ok {
			return fmt.Errorf("%s: %w", try.what, err)
		}
		s.refuse++
		by := ""
		if len(e.Rules) > 0 {
			by = ", by " + strings.Join(slices.Compact(slices.Clone(e.Rules)), ", ")
		}
		s.line(try.what, "refused: "+string(e.Code)+by)
	}
	s.line("refused reads and writes, each entered in the journal", s.refuse)
	return nil
}

// problem returns the coded error in err's chain.
func problem(err error) *bonded.Error {
	if e, ok := errors.AsType[*bonded.Error](err); ok {
		return e
	}
	return &bonded.Error{Code: bonded.CodeInternal}
}
