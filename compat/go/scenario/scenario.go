// Package scenario holds the scenarios of compat/README.md, written once over what a client library can do.
package scenario

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// patience is how long a scenario waits for what must come.
const patience = 60 * time.Second

var table = map[string]func(*run){
	"admin":               admin,
	"produce-none":        produceWith("none"),
	"produce-gzip":        produceWith("gzip"),
	"produce-snappy":      produceWith("snappy"),
	"produce-lz4":         produceWith("lz4"),
	"produce-zstd":        produceWith("zstd"),
	"idempotent":          idempotent,
	"headers":             headers,
	"large":               large,
	"group":               groupWith(Classic),
	"group-new":           groupWith(Consumer),
	"static":              staticWith(Classic),
	"static-new":          staticWith(Consumer),
	"cooperative":         cooperative,
	"regex":               regex,
	"migrate":             migrate,
	"seek":                seek,
	"commit":              commit,
	"delete-records":      deleteRecords,
	"long-poll":           longPoll,
	"restart":             restart,
	"transactions":        transactions,
	"fencing":             fencing,
	"exactly-once":        exactlyOnceWith(Classic),
	"exactly-once-new":    exactlyOnceWith(Consumer),
	"transaction-timeout": transactionTimesOut,
	"transactions-admin":  transactionsAdmin,
}

// run is one run of a scenario. Its methods end the scenario when something is not as it must be.
type run struct {
	client    Client
	bootstrap string
	admin     Admin
	id        string
	cleanup   []func()

	lock    sync.Mutex
	failure error // of another goroutine
}

// failed carries an error up to Run, as a panic.
type failed struct{ error }

// Run runs one scenario; nil says that it passed.
func Run(client Client, name, bootstrap string) (err error) {
	scenario, ok := table[name]
	if !ok {
		return fmt.Errorf("no scenario %q", name)
	}
	r := &run{client: client, bootstrap: bootstrap, id: strings.ToLower(rand.Text()[:10])}
	defer func() {
		if reason := recover(); reason != nil {
			failure, ok := reason.(failed)
			if !ok {
				panic(reason)
			}
			err = failure.error
		}
	}()
	r.admin = must(client.Admin())("admin client")
	defer r.admin.Close()
	defer func() {
		for _, end := range slices.Backward(r.cleanup) {
			end()
		}
	}()
	scenario(r)
	return r.failureElsewhere()
}

// atEnd runs f after the scenario, the last one first.
func (r *run) atEnd(f func()) { r.cleanup = append(r.cleanup, f) }

// fail notes a failure found outside the scenario's own goroutine; the first one counts.
func (r *run) fail(err error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.failure == nil {
		r.failure = err
	}
}

func (r *run) failureElsewhere() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.failure
}

func fatalf(format string, args ...any) { panic(failed{fmt.Errorf(format, args...)}) }

func check(err error, doing string) {
	if err != nil {
		fatalf("%s: %w", doing, err)
	}
}

// must takes a value and its error: must(f())("what f does").
func must[V any](value V, err error) func(doing string) V {
	return func(doing string) V {
		check(err, doing)
		return value
	}
}

func equal[V comparable](got, want V, what string) {
	if got != want {
		fatalf("%s: %v, not %v", what, got, want)
	}
}

func equalAll[V comparable](got, want []V, what string) {
	if !slices.Equal(got, want) {
		fatalf("%s: %v, not %v", what, got, want)
	}
}

// refused asserts that a broker refused with one of the codes.
func (r *run) refused(err error, doing string, want ...int16) {
	if code, ok := r.client.Code(err); !ok || !slices.Contains(want, code) {
		fatalf("%s: %v, not error code %v", doing, err, want)
	}
}

// eventually polls until ready returns nil.
func (r *run) eventually(what string, ready func() error) {
	deadline := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return
		}
		check(r.failureElsewhere(), what)
		if time.Now().After(deadline) {
			fatalf("%s: after %v still: %w", what, patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *run) name(what string) string { return "compat-" + what + "-" + r.id }

// topic makes a topic and returns when its partitions serve: Apache Kafka answers the creation before they do, and
// what is produced with acks 0 in between is lost.
func (r *run) topic(what string, partitions int32) string {
	name := r.name(what)
	check(r.admin.CreateTopic(name, partitions, 1, nil), "creating "+name)
	r.eventually(name+" serves", func() error {
		_, err := r.admin.Offsets(name, partitions, Latest)
		return err
	})
	return name
}

func (r *run) producer(config ProducerConfig) Producer {
	producer := must(r.client.Producer(config))("making a producer")
	r.atEnd(producer.Close)
	return producer
}

// produce sends records with acks all and returns them with their offsets.
func (r *run) produce(topic string, all []*Record) []*Record {
	producer := must(r.client.Producer(ProducerConfig{Acks: -1}))("making a producer")
	defer producer.Close()
	check(producer.Produce(topic, all), "producing to "+topic)
	return all
}

func (r *run) reader(topic string, starts map[int32]int64, config ReaderConfig) Reader {
	reader := must(r.client.Reader(topic, starts, config))("making a reader")
	r.atEnd(reader.Close)
	return reader
}

// poll waits for records.
func poll(reader Reader, what string) []*Record {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got, err := reader.Poll(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		fatalf("%s: no record in %v", what, patience)
	}
	check(err, what)
	return got
}

// comesBack reads a fresh topic whole and compares it with what was produced; it holds nothing else.
func (r *run) comesBack(topic string, partitions int32, want []*Record) {
	starts := make(map[int32]int64)
	expected := make([][]*Record, partitions)
	for p := range partitions {
		starts[p] = Earliest
	}
	for _, record := range want {
		expected[record.Partition] = append(expected[record.Partition], record)
	}
	reader := r.reader(topic, starts, ReaderConfig{MaxWait: 500 * time.Millisecond})
	next := make([]int64, partitions)
	for count := 0; count < len(want); {
		for _, got := range poll(reader, "reading "+topic+" back") {
			position := fmt.Sprintf("%s-%d at %d", topic, got.Partition, got.Offset)
			equal(got.Offset, next[got.Partition], position+": expected offset")
			if got.Offset >= int64(len(expected[got.Partition])) {
				fatalf("%s: more than was produced", position)
			}
			if difference := expected[got.Partition][got.Offset].difference(got); difference != "" {
				fatalf("%s: %s", position, difference)
			}
			next[got.Partition]++
			count++
		}
	}
	equalAll(must(r.admin.Offsets(topic, partitions, Latest))("end offsets"), next, "end offsets of "+topic)
}

// acknowledgedInOrder asserts that a fresh topic's records were acknowledged at 0, 1, 2, ... of their partitions,
// which is where comesBack finds them.
func acknowledgedInOrder(all []*Record) {
	next := make(map[int32]int64)
	for _, record := range all {
		equal(record.Offset, next[record.Partition], fmt.Sprintf("acknowledged offset in partition %d", record.Partition))
		next[record.Partition]++
	}
}
