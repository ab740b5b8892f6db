//go:build unix

package vault_test

import (
	"testing"
	"time"
)

// A grant is given for a principal while it is in force, and the vault's own to
// nobody.
func TestGrantIsInForceAndNotTheVaults(t *testing.T) {
	c := newCell(t)
	if g, ok := c.v.Grant("app"); !ok || g.ID != "app" {
		t.Errorf("app has %v", g)
	}
	for _, id := range []string{"jobs", "front-door", "nobody", ""} {
		if g, ok := c.v.Grant(id); ok || g != nil {
			t.Errorf("%q has %v", id, g)
		}
	}
	for name, skew := range map[string]time.Duration{"before it begins": -2 * time.Hour, "after it ended": 49 * time.Hour} {
		c.skew.Store(int64(skew))
		if g, ok := c.v.Grant("app"); ok || g != nil {
			t.Errorf("%s: app has %v", name, g)
		}
	}
	c.skew.Store(0)
}
