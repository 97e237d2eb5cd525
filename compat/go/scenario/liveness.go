package scenario

import (
	"fmt"
	"net"
	"time"
)

// longPoll waits at the end of a partition. The pauses let the reader's fetch reach the broker and wait there; that it
// has is not known, but a broker that wakes nobody answers within 20 s in every case.
func longPoll(r *run) {
	topic := r.topic("long-poll", 1)
	producer := r.producer(ProducerConfig{Acks: -1})
	one := func() []*Record { return records(1, 1, 100) }
	check(producer.Produce(topic, one()), "producing the first record")
	reader := r.reader(topic, map[int32]int64{0: Earliest}, ReaderConfig{MaxWait: 20 * time.Second})
	poll(reader, "first record")
	for round := range 20 {
		time.Sleep(150 * time.Millisecond)
		start := time.Now()
		sent := one()
		check(producer.Produce(topic, sent), "producing")
		got := poll(reader, "waiting at the end")
		if took := time.Since(start); took > time.Second {
			fatalf("round %d: the record came after %v", round, took)
		}
		equal(len(got), 1, "records of a round")
		equal(got[0].Offset, sent[0].Offset, "offset")
	}
}

const (
	restartPartitions = 3
	portion           = 10
	// What is produced before the broker may be restarted, and after it was.
	loadRecords = 500
)

func restart(r *run) {
	topic := r.topic("restart", restartPartitions)
	j := newJournal(r)
	j.commits = true
	j.exclusive = false // commits fail while the broker is away
	config := MemberConfig{Group: r.name("restart"), Topic: topic}
	for _, name := range []string{"first", "second"} {
		config.Name = name
		r.join(config, j)
	}
	r.eventually("a member receives a record", func() error {
		r.produce(topic, records(1, 1, 100))
		if j.first() == nil {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	producer := r.producer(ProducerConfig{Acks: -1})
	acknowledged := r.load(producer, topic, func(count int) bool { return count >= loadRecords })

	down := must(r.whenDown())("connecting to " + r.bootstrap)
	fmt.Println("restart")
	since, deadline := 0, time.Now().Add(patience)
	acknowledged = append(acknowledged, r.load(producer, topic, func(count int) bool {
		select {
		case <-down:
			return count >= since+loadRecords
		default:
			if time.Now().After(deadline) {
				fatalf("the broker was not restarted within %v", patience)
			}
			since = count
			return false
		}
	})...)
	r.eventually("acknowledged records are read", func() error { return j.missing(acknowledged) })
}

// load produces portions until enough says so of the number of acknowledged records, and returns those. A portion that
// fails is not asked for: its records may be there or not.
func (r *run) load(producer Producer, topic string, enough func(count int) bool) []*Record {
	var acknowledged []*Record
	lastSuccess := time.Now()
	for !enough(len(acknowledged)) {
		all := records(portion, restartPartitions, 200)
		err := producer.Produce(topic, all)
		if err == nil {
			acknowledged = append(acknowledged, all...)
			lastSuccess = time.Now()
		} else if time.Since(lastSuccess) > patience {
			fatalf("nothing is acknowledged for %v: %w", patience, err)
		}
		check(r.failureElsewhere(), "while producing")
		time.Sleep(10 * time.Millisecond) // a steady load, not as fast as it goes
	}
	return acknowledged
}

// whenDown closes the channel when the broker closes a connection that does nothing.
func (r *run) whenDown() (<-chan struct{}, error) {
	conn, err := net.DialTimeout("tcp", r.bootstrap, patience)
	if err != nil {
		return nil, err
	}
	r.atEnd(func() { _ = conn.Close() })
	down := make(chan struct{})
	go func() {
		_, _ = conn.Read(make([]byte, 1))
		close(down)
	}()
	return down, nil
}
