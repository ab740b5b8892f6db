package vault

import (
	"context"
	"fmt"

	"bonded"
	"bonded/internal/wire"
	"bonded/verify"
)

// Freeze implements [handover.Records]: it keeps people from erasure and
// retention until the case lets them go, and opens nothing. An erasure that is
// asked for meanwhile is accepted and waits.
func (r caseRecords) Freeze(ctx context.Context, id bonded.CaseID, subjects []bonded.ID) error {
	call, err := r.v.caseCall(id, purposeFrontDoor)
	if err != nil {
		return err
	}
	held, err := r.v.store.HeldBy(ctx, id.ID)
	if err != nil {
		return err
	}
	have := make(map[bonded.ID]bool, len(held))
	for _, s := range held {
		have[s] = true
	}
	var items []wire.Item
	for _, s := range subjects {
		if !have[s] {
			have[s] = true
			items = append(items, wire.Item{Subject: s})
		}
	}
	if len(items) == 0 {
		return nil
	}
	// A key that is being destroyed is destroyed before, or not at all.
	r.v.destroying.Lock()
	defer r.v.destroying.Unlock()
	return r.v.enterCase(ctx, call, verify.OpHold, "", "held", items, func(tx Tx) error {
		for i := range items {
			if s, err := tx.Subject(items[i].Subject); err != nil || s == nil {
				if err != nil {
					return err
				}
				continue // nobody is there to be held
			}
			if err := tx.PutHold(id.ID, items[i].Subject); err != nil {
				return err
			}
		}
		return nil
	})
}

// Unfreeze implements [handover.Records]. Erasures that waited go on.
func (r caseRecords) Unfreeze(ctx context.Context, id bonded.CaseID) error {
	call, err := r.v.caseCall(id, purposeFrontDoor)
	if err != nil {
		return err
	}
	held, err := r.v.store.HeldBy(ctx, id.ID)
	if err != nil || len(held) == 0 {
		return err
	}
	items := make([]wire.Item, len(held))
	for i := range held {
		items[i].Subject = held[i]
	}
	if err := r.v.enterCase(ctx, call, verify.OpHold, "", "let go", items, func(tx Tx) error { return tx.DropHolds(id.ID) }); err != nil {
		return err
	}
	r.v.kick()
	return nil
}

// notHeld returns an error with code frozen if a hold keeps a person.
func (v *Vault) notHeld(ctx context.Context, subject bonded.ID) error {
	held, err := v.store.Held(ctx, subject)
	if err != nil {
		return fmt.Errorf("look for holds: %w", err)
	}
	if held {
		return frozen("subject")
	}
	return nil
}

func frozen(at string) error {
	return &bonded.Error{Code: bonded.CodeFrozen, Field: at, Message: "a preservation keeps this: nothing of it is deleted meanwhile", Hint: "it ends by itself when its case does"}
}
