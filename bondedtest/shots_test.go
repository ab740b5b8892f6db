//go:build unix

package bondedtest_test

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// shoot has axe look at the page, and keeps pictures of it.
func (b *tab) shoot(name string) {
	b.t.Helper()
	b.audit(name)
	b.picture(name)
}

// picture keeps pictures of the page for people to look at, if BONDED_SHOTS names
// a folder: NAME-1280.png and NAME-390.png, and the same in the folder dark.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("BONDED_SHOTS")
	if dir == "" {
		return
	}
	must(b.t, os.MkdirAll(filepath.Join(dir, "dark"), 0o755))
	for scheme, into := range map[string]string{"light": dir, "dark": filepath.Join(dir, "dark")} {
		b.scheme(scheme)
		for _, width := range []int64{1280, 390} {
			b.do(chromedp.EmulateViewport(width, 900))
			shot, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			must(b.t, err)
			must(b.t, os.WriteFile(filepath.Join(into, name+"-"+strconv.FormatInt(width, 10)+".png"), small(b.t, shot), 0o644))
		}
	}
	b.do(chromedp.EmulateViewport(1280, 900))
}

// scheme has the page drawn light or dark.
func (b *tab) scheme(name string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	must(b.t, err)
}

// small is a picture in its 256 most frequent colours, in which pages look the
// same at a third of the size.
func small(t *testing.T, shot []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(shot))
	must(t, err)
	bounds, often := img.Bounds(), map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			often[at(x, y)]++
		}
	}
	var colors []color.RGBA
	for c := range often {
		colors = append(colors, c)
	}
	slices.SortFunc(colors, func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(often[b], often[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colors[:min(256, len(colors))] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colors {
		index[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	var b bytes.Buffer
	must(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out))
	return b.Bytes()
}
