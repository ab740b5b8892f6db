package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"bonded"
)

// StopWait is how long a process may take to end when asked to, before it is
// killed.
const StopWait = 10 * time.Second

// A Process is one running party. It is safe for concurrent use.
type Process struct {
	Name string // such as "eu/keyholder"
	Log  string // path of its log file
	args []string
	env  []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
	err  error         // how it ended
	from int64         // where in its log this start begins
}

// start runs the command and watches for its end.
func (p *Process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(p.Log), 0o700); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close() // the child has its own copy
	fi, err := log.Stat()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.from = fi.Size()
	cmd := exec.Command(p.args[0], p.args[1:]...) //nolint:gosec,noctx // our own binaries; ended by Stop and Kill, not by a context
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), p.env...)
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done, p.err = cmd, done, nil
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(done)
	}()
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// PID returns the process id.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Stop asks the process to end and waits; after [StopWait] it is killed.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.Done():
		return nil
	case <-time.After(StopWait):
		return errors.Join(fmt.Errorf("stop %s: still there after %s, killed", p.Name, StopWait), p.Kill())
	}
}

// Kill ends the process at once, as a power cut would, and waits.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.Done()
	return nil
}

// Restart starts an ended process again.
func (p *Process) Restart() error { return p.start() }

// LastLines returns the end of the process's log, for error messages.
func (p *Process) LastLines(n int) string {
	f, err := os.Open(p.Log)
	if err != nil {
		return ""
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return ""
	}
	if _, err := f.Seek(max(0, fi.Size()-16<<10), io.SeekStart); err != nil {
		return ""
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	lines := bytes.Split(bytes.TrimRight(b, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}

// Said waits for a line that the process says since it was started, and
// returns what stands in it behind a text. It is an error if the process ends
// before, or ctx does.
func (p *Process) Said(ctx context.Context, text string) (rest string, err error) {
	p.mu.Lock()
	from := p.from
	p.mu.Unlock()
	err = p.await(ctx, func(context.Context) error {
		log, err := os.ReadFile(p.Log)
		if err != nil {
			return err
		}
		_, after, ok := strings.Cut(string(log[min(from, int64(len(log))):]), text)
		if ok {
			rest, _, ok = strings.Cut(after, "\n")
		}
		if !ok {
			return fmt.Errorf("it has not said %q", text)
		}
		return nil
	})
	return rest, err
}

// await polls check until it returns nil, the process ends, or time is up.
func (p *Process) await(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			return &bonded.Error{
				Code: bonded.CodeInternal, Message: p.Name + " ended while starting", Field: p.Log, Err: p.exit(),
				Hint: "its last words:\n" + p.LastLines(5),
			}
		case <-ctx.Done():
			return &bonded.Error{
				Code: bonded.CodeInternal, Message: p.Name + " is not ready", Field: p.Log, Err: errors.Join(ctx.Err(), err),
				Hint: "it last said:\n" + err.Error() + "\n" + p.LastLines(5),
			}
		case <-tick.C:
		}
	}
}

func (p *Process) exit() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
