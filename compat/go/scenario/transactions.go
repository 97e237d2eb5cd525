package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	transactionPartitions = 3
	transactionTimeout    = time.Second
	// Longer than transaction.max.timeout.ms is by default.
	excessiveTimeout = 16 * time.Minute
	// How soon after the end of a transaction its waiting readers go on.
	promptness = 5 * time.Second
	stillness  = 300 * time.Millisecond
)

// transactionSizes are the numbers of records of transactions that are committed and aborted in turn.
var transactionSizes = []int{1, 100, 100, 1, 0, 0, 37, 12, 64, 3, 99, 50, 0, 7, 2, 0, 20, 88}

// fences are the codes by which a broker tells a producer that there is a newer one.
var fences = []int16{InvalidProducerEpoch, ProducerFenced}

func (r *run) transactional(id string, timeout time.Duration) Transactional {
	producer := must(r.client.Transactional(r.name(id), timeout))("making a producer with a transactional id")
	r.atEnd(producer.Close)
	return producer
}

// transaction produces records in a transaction of their own.
func transaction(producer Transactional, topic string, commits bool, all ...*Record) {
	check(producer.Begin(), "beginning a transaction")
	check(producer.Produce(topic, all), "producing in a transaction")
	check(producer.End(commits), "ending a transaction")
}

func valued(value string) *Record {
	return &Record{Value: []byte(value), TimestampMs: time.Now().UnixMilli()}
}

func transactions(r *run) {
	topic := r.topic("transactions", transactionPartitions)
	producer := r.transactional("writer", 0)
	var sent, committed []*Record
	ends := make([]int64, transactionPartitions)
	acknowledged := func(all []*Record) {
		for _, record := range all {
			equal(record.Offset, ends[record.Partition], fmt.Sprintf("acknowledged offset in %d", record.Partition))
			ends[record.Partition]++
		}
		sent = append(sent, all...)
	}
	for i, size := range transactionSizes {
		all := records(size, transactionPartitions, 200)
		commits := i%2 == 0
		transaction(producer, topic, commits, all...)
		acknowledged(all)
		// The marker that ends a transaction takes an offset in each of its partitions.
		for p := range min(size, transactionPartitions) {
			ends[p]++
		}
		if commits {
			committed = append(committed, all...)
		}
	}
	// The end of a transaction is answered before its markers are written.
	r.eventually("the last markers", func() error {
		got := must(r.admin.Offsets(topic, transactionPartitions, Latest))("end offsets")
		if !slices.Equal(got, ends) {
			return fmt.Errorf("the ends are %v, not %v", got, ends)
		}
		return nil
	})
	last := r.produce(topic, records(transactionPartitions, transactionPartitions, 200))
	acknowledged(last)
	r.reads(topic, false, sent)
	r.reads(topic, true, append(committed, last...))
	r.hidden(producer, topic, true)
	r.hidden(producer, topic, false)
}

// reads reads a topic from its beginning to the last of the expected records and finds no others.
func (r *run) reads(topic string, committed bool, want []*Record) {
	starts := make(map[int32]int64)
	expected := make(map[int32][]*Record)
	for _, record := range want {
		starts[record.Partition] = Earliest
		expected[record.Partition] = append(expected[record.Partition], record)
	}
	reader := r.reader(topic, starts, ReaderConfig{MaxWait: 500 * time.Millisecond, Committed: committed})
	for count := 0; count < len(want); {
		for _, got := range poll(reader, "reading "+topic) {
			what := fmt.Sprintf("%s-%d, committed only: %v", topic, got.Partition, committed)
			if len(expected[got.Partition]) == 0 {
				fatalf("%s: a record at %d behind the last", what, got.Offset)
			}
			next := expected[got.Partition][0]
			equal(got.Offset, next.Offset, what)
			if difference := next.difference(got); difference != "" {
				fatalf("%s at %d: %s", what, got.Offset, difference)
			}
			expected[got.Partition] = expected[got.Partition][1:]
			count++
		}
	}
}

// hidden follows what readers at the end see of a transaction and of a record outside that comes after it.
func (r *run) hidden(producer Transactional, topic string, commits bool) {
	end := must(r.admin.Offsets(topic, 1, Latest))("the end")[0]
	atEnd := func(committed bool) Reader {
		return r.reader(topic, map[int32]int64{0: end}, ReaderConfig{MaxWait: 20 * time.Second, Committed: committed})
	}
	all, decided := atEnd(false), atEnd(true)
	check(producer.Begin(), "beginning a transaction")
	check(producer.Produce(topic, []*Record{valued("inside")}), "producing in a transaction")
	r.produce(topic, []*Record{valued("outside")})
	comes(all, "inside", "outside")
	equal(must(r.admin.Offsets(topic, 1, Latest))("the end")[0], end+2, "the end")
	equal(must(r.admin.StableEnd(topic))("the last stable offset"), end, "the last stable offset")
	comesNothing(decided)
	ended := time.Now()
	check(producer.End(commits), "ending a transaction")
	if commits {
		comes(decided, "inside", "outside")
	} else {
		comes(decided, "outside")
	}
	if took := time.Since(ended); took > promptness {
		fatalf("what was decided came after %v", took)
	}
	equal(must(r.admin.StableEnd(topic))("the last stable offset"), end+3, "the last stable offset")
	r.produce(topic, []*Record{valued("for the fetches that wait")})
}

// comes reads exactly these values next.
func comes(reader Reader, want ...string) {
	var values []string
	for len(values) < len(want) {
		for _, got := range poll(reader, fmt.Sprintf("waiting for %v", want)) {
			values = append(values, string(got.Value))
		}
	}
	equalAll(values, want, "records")
}

func comesNothing(reader Reader) {
	ctx, cancel := context.WithTimeout(context.Background(), stillness)
	defer cancel()
	if got, err := reader.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		fatalf("%d records and %w, where nothing was to come", len(got), err)
	}
}

func (r *run) decided(topic string) Reader {
	return r.reader(topic, map[int32]int64{0: 0}, ReaderConfig{MaxWait: 500 * time.Millisecond, Committed: true})
}

func fencing(r *run) {
	topic := r.topic("fencing", 1)
	reader := r.decided(topic)
	for _, sends := range []bool{true, false} {
		first := r.transactional("writer", 0)
		transaction(first, topic, true, valued("of the first"))
		comes(reader, "of the first")
		check(first.Begin(), "beginning the transaction that stays open")
		check(first.Produce(topic, []*Record{valued("left open")}), "producing in it")

		second := r.transactional("writer", 0)
		transaction(second, topic, true, valued("of the second"))
		comes(reader, "of the second")
		if sends {
			r.refused(first.Produce(topic, []*Record{valued("late")}), "a send of the first", fences...)
		}
		// Before the second goes on: a library may ask for a new epoch, which in a transaction of the second would fence it.
		r.refused(first.End(!sends), "the end of the first", fences...)
		transaction(second, topic, true, valued("later"))
		comes(reader, "later")
	}
}

func transactionTimesOut(r *run) {
	topic := r.topic("transaction-timeout", 1)
	reader := r.decided(topic)
	r.refused(r.produceWithin(topic, excessiveTimeout), "a timeout beyond the maximum", InvalidTransactionTimeout)
	slow := r.transactional("slow", transactionTimeout)
	check(slow.Begin(), "beginning a transaction")
	check(slow.Produce(topic, []*Record{valued("too late")}), "producing in a transaction")
	r.produce(topic, []*Record{valued("outside")})
	comes(reader, "outside")
	r.refused(slow.End(true), "the commit", append(fences, InvalidTxnState)...)
}

// produceWithin begins a transaction with this timeout; a library may ask the broker for it as late as with a record.
func (r *run) produceWithin(topic string, timeout time.Duration) error {
	producer, err := r.client.Transactional(r.name("patient"), timeout)
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.Begin(); err != nil {
		return err
	}
	return producer.Produce(topic, []*Record{valued("patient")})
}
