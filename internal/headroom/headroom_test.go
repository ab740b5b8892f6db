package headroom_test

import (
	"testing"

	"bonded/internal/headroom"
)

func TestPercentGivesTheHeadroomAndAtLeastDoubles(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live, bytes uint64
		want        int
	}{
		{0, 128 * mib, 800}, // before the first collection
		{4 * mib, 128 * mib, 800},
		{32 * mib, 128 * mib, 400},
		{100 * mib, 128 * mib, 125},
		{128 * mib, 128 * mib, 100},
		{4096 * mib, 128 * mib, 100},
	} {
		if got := headroom.Percent(c.live, c.bytes); got != c.want {
			t.Errorf("Percent(%d MiB, %d MiB) = %d, want %d", c.live/mib, c.bytes/mib, got, c.want)
		}
	}
}
