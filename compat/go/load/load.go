// Package load is what the members of the checker's group have in common: their options, and when they leave.
package load

import (
	"context"
	"flag"
	"io"
	"os"
	"time"
)

const (
	CommitInterval = 100 * time.Millisecond
	Poll           = 50 * time.Millisecond
	FetchMaxWait   = 100 * time.Millisecond
	ReadTimeout    = 2 * time.Second
	// A member that was told to leave and cannot is ended: nobody may be left to do it.
	leaveTimeout = 2 * time.Minute
)

// Options are those of ../../checker/main.rs.
type Options struct {
	Bootstrap, Topic, Group, Journal, Protocol, Assignor, Commit string
	sessionMs                                                    int
}

func (o Options) CommitsItself() bool { return o.Commit == "manual" }

func (o Options) SessionTimeout() time.Duration {
	return time.Duration(o.sessionMs) * time.Millisecond
}

func (o Options) HeartbeatInterval() time.Duration { return o.SessionTimeout() / 6 }

func parse(arguments []string) (Options, error) {
	var o Options
	flags := flag.NewFlagSet("member", flag.ContinueOnError)
	flags.StringVar(&o.Bootstrap, "bootstrap", "", "")
	flags.StringVar(&o.Topic, "topic", "", "")
	flags.StringVar(&o.Group, "group", "", "")
	flags.StringVar(&o.Journal, "journal", "", "")
	flags.StringVar(&o.Protocol, "protocol", "", "")
	flags.StringVar(&o.Assignor, "assignor", "", "")
	flags.StringVar(&o.Commit, "commit", "", "")
	flags.IntVar(&o.sessionMs, "session-ms", 0, "")
	return o, flags.Parse(arguments)
}

// Member is in the group until the context ends.
type Member func(ctx context.Context, options Options, journal *Journal) error

// Run is a member until standard input closes: the sign to leave, also when whoever started this process is gone.
func Run(member Member, arguments []string) error {
	options, err := parse(arguments)
	if err != nil {
		return err
	}
	journal, err := create(options.Journal)
	if err != nil {
		return err
	}
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		// An error ends the input, too.
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
		time.Sleep(leaveTimeout)
		os.Exit(3)
	}()
	if err := member(ctx, options, journal); err != nil {
		journal.fail(err)
		return err
	}
	return nil
}
