package keyholderd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/keyholder/keyholderd"
)

// made returns the folder of a fresh keyholder.
func made(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keyholder")
	_, err := keyholderd.Init(t.Context(), dir, keyholderd.InitOptions{
		Cell: "eu", Suite: "aes-256-gcm", Listen: "127.0.0.1:7440", UndoWindow: 24 * time.Hour, WaitingTime: 24 * time.Hour, Passphrase: []byte("p"),
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInitWritesAConfigurationThatLoads(t *testing.T) {
	dir := made(t)
	c, err := keyholderd.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Cell != "eu" || c.UndoWindow.Duration != 24*time.Hour || c.WaitingTime.Duration != 24*time.Hour || c.Freshness.Duration != 15*time.Minute || c.Ceilings.Budget == 0 {
		t.Errorf("config %+v", c)
	}
	if _, err := keyholderd.Init(t.Context(), dir, keyholderd.InitOptions{Cell: "eu", Suite: "aes-256-gcm", Listen: "127.0.0.1:1", Passphrase: []byte("p")}, time.Now()); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("Init again = %v", err)
	}
}

func TestInitRefuses(t *testing.T) {
	for name, o := range map[string]keyholderd.InitOptions{
		"no passphrase":    {Cell: "eu", Suite: "aes-256-gcm", Listen: "127.0.0.1:7440"},
		"unknown suite":    {Cell: "eu", Suite: "rot13", Listen: "127.0.0.1:7440", Passphrase: []byte("p")},
		"bad cell":         {Cell: "E", Suite: "aes-256-gcm", Listen: "127.0.0.1:7440", Passphrase: []byte("p")},
		"no address":       {Cell: "eu", Suite: "aes-256-gcm", Listen: "7440", Passphrase: []byte("p")},
		"one share of one": {Cell: "eu", Suite: "aes-256-gcm", Listen: "127.0.0.1:7440", Shares: 1, Threshold: 1, SharesDir: "x"},
		"shares nowhere":   {Cell: "eu", Suite: "aes-256-gcm", Listen: "127.0.0.1:7440", Shares: 3, Threshold: 2},
	} {
		dir := filepath.Join(t.TempDir(), "k")
		if o.SharesDir != "" {
			o.SharesDir = t.TempDir()
		}
		if _, err := keyholderd.Init(t.Context(), dir, o, time.Now()); bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "keyring.json")); err == nil {
			t.Errorf("%s: a keyholder was made", name)
		}
	}
}

func TestConfigurationErrorsNamePlaceAndKey(t *testing.T) {
	dir := made(t)
	path := filepath.Join(dir, "keyholder.yaml")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, replacement, field, text string }{
		"unknown key":       {"freshness: 15m", "freshnes: 15m", ":18:", "freshness"},
		"missing setting":   {"undo_window: 24h0m0s\n", "", "", "undo_window"},
		"freshness of days": {"freshness: 15m", "freshness: 48h", ":18:", "24h"},
		"old keys for ever": {"old_cell_key: 168h", "old_cell_key: 9000h", ":", "720h"},
		"a wait of months":  {"waiting_time: 24h0m0s", "waiting_time: 2000h", ":", "720h"},
		"not a duration":    {"freshness: 15m", "freshness: soon", ":18:", "15m"},
	} {
		text := strings.Replace(string(good), c.old, c.replacement, 1)
		if text == string(good) {
			t.Fatalf("%s: %q is not in the file", name, c.old)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := keyholderd.LoadConfig(dir)
		var e *bonded.Error
		if !errors.As(err, &e) || e.Code != bonded.CodeConfig || !strings.Contains(e.Field, "keyholder.yaml"+c.field) || !strings.Contains(e.Message+e.Hint, c.text) {
			t.Errorf("%s: %v, field %q, hint %q", name, err, e.Field, e.Hint)
		}
	}
}
