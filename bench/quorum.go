//go:build linux

package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"syscall"
	"time"

	"bonded"
	"bonded/internal/quorum"
)

// benchQuorum measures what threshold cryptography costs in CPU time of this
// process, which other work on the machine does not stretch. All parties of a
// ceremony are in it.
func benchQuorum(o *options, t *table) error {
	var ks *quorum.KeySet
	var shares []quorum.Share
	for _, c := range []struct {
		threshold, members int
		bar                float64 // milliseconds
	}{{7, 10, 500}, {3, 5, 100}} {
		used, err := cpuEach(5*o.rounds, func() (err error) {
			ks, shares, err = ceremony(c.threshold, c.members)
			return err
		})
		if err != nil {
			return err
		}
		t.most(fmt.Sprintf("ceremony %d of %d, CPU of all parties", c.threshold, c.members), used[0], c.bar, " ms")
	}
	return benchOpening(o, t, ks, shares[:3])
}

// benchOpening measures the opening of one envelope by three custodians.
func benchOpening(o *options, t *table, ks *quorum.KeySet, shares []quorum.Share) error {
	label := []byte("bench/users/record/version")
	enc, err := quorum.NewEncryptor(ks.ReleaseKey())
	if err != nil {
		return err
	}
	_, env, err := enc.NewEnvelope(label)
	if err != nil {
		return err
	}
	id := bonded.NewID()
	pub, err := quorum.NewRecipientKey().Public(id[:])
	if err != nil {
		return err
	}
	release := quorum.Release{Request: id, Leaf: [32]byte{1}, Recipient: pub, Context: id[:]}
	opening, err := quorum.NewOpening(ks, release)
	if err != nil {
		return err
	}
	custodian, err := quorum.NewCustodian(ks, shares[0], release)
	if err != nil {
		return err
	}
	var partials []*quorum.Partial
	for _, s := range shares {
		p, err := quorum.MakePartial(ks, s, release, env, label)
		if err != nil {
			return err
		}
		partials = append(partials, p)
	}
	// In turn, so that what else the machine does falls on all of them.
	used, err := cpuEach(200*o.rounds,
		func() error { _, err := custodian.Partial(env, label); return err },
		func() error { return opening.Verify(partials[0], env, label) },
		func() error { _, err := opening.Combine(env, label, partials); return err },
		func() error { return env.Check(label) },
	)
	if err != nil {
		return err
	}
	t.most("partial decryption by a custodian, CPU", used[0], 3, " ms")
	t.most("verification of a partial, CPU", used[1], 2, " ms")
	// Combine verifies what it is given: the check of the envelope once, and
	// three partials, which Verify does with a check of the envelope each.
	t.most("combination of 3 verified partials, CPU", max(0, used[2]-used[3]-3*(used[1]-used[3])), 1, " ms")
	t.plain("  combination of 3 with their verification, CPU", used[2], " ms")
	t.plain("  check of an envelope, CPU", used[3], " ms")
	return nil
}

// cpuEach calls everything in turn, n times, and returns the CPU time of a call
// of each in milliseconds: medians.
func cpuEach(n int, do ...func() error) ([]float64, error) {
	figures := make([][]float64, len(do))
	for range n {
		for i := range do {
			before, err := cpuOfSelf()
			if err != nil {
				return nil, err
			}
			if err := do[i](); err != nil {
				return nil, err
			}
			after, err := cpuOfSelf()
			if err != nil {
				return nil, err
			}
			figures[i] = append(figures[i], float64((after-before).Microseconds())/1000)
		}
	}
	medians := make([]float64, len(do))
	for i := range figures {
		medians[i] = median(figures[i])
	}
	return medians, nil
}

// ceremony holds a first ceremony of one role.
func ceremony(threshold, members int) (*quorum.KeySet, []quorum.Share, error) {
	// 1. Who takes part.
	p := &quorum.Params{Cell: "eu", Ceremony: bonded.NewID(), Kind: quorum.KindDKG, Epoch: 1}
	role := quorum.Role{Name: "firm", Threshold: threshold}
	var people []quorum.Identity
	for i := range members {
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, nil, err
		}
		transport, err := quorum.NewTransportKey()
		if err != nil {
			return nil, nil, err
		}
		role.Members = append(role.Members, quorum.Custody{ID: fmt.Sprintf("firm-%d", i+1), Approval: pub, Transport: transport.Public()})
		people = append(people, quorum.Identity{Approval: key, Transport: transport})
	}
	p.Roles = []quorum.Role{role}
	var all []*quorum.Member
	for _, me := range people {
		m, err := quorum.NewMember(p, nil, me, quorum.Share{})
		if err != nil {
			return nil, nil, err
		}
		all = append(all, m)
	}

	// 2. Everybody hears everybody until nobody says anything new.
	seen := map[string]bool{}
	for quiet := false; !quiet; {
		quiet = true
		for _, m := range all {
			for _, raw := range m.Messages() {
				if seen[string(raw)] {
					continue
				}
				seen[string(raw)], quiet = true, false
				for _, to := range all {
					if err := to.Receive(raw); err != nil {
						return nil, nil, err
					}
				}
			}
		}
	}

	// 3. What everybody has now.
	var ks *quorum.KeySet
	var shares []quorum.Share
	for _, m := range all {
		c, share, ok := m.Result()
		if !ok {
			return nil, nil, errors.New("the ceremony came to no end")
		}
		ks, shares = c.KeySet(), append(shares, share)
	}
	return ks, shares, nil
}

// cpuOfSelf is finer than [cpuOf], which counts in ticks.
func cpuOfSelf() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
