package scenario

import (
	"context"
	"fmt"
	"time"
)

func seek(r *run) {
	topic := r.topic("seek", 1)
	all := records(10, 1, 100)
	firstMs := all[0].TimestampMs
	for i, record := range all {
		record.TimestampMs = firstMs + int64(i)*1000
	}
	acknowledgedInOrder(r.produce(topic, all))
	offsetAt := func(at, want int64, what string) {
		equal(must(r.admin.Offsets(topic, 1, at))(what)[0], want, what)
	}
	offsetAt(Earliest, 0, "beginning")
	offsetAt(Latest, 10, "end")
	offsetAt(firstMs-5000, 0, "offset for a time before the records")
	offsetAt(firstMs+2000, 2, "offset for a record's time")
	offsetAt(firstMs+2001, 3, "offset for a time between records")
	offsetAt(firstMs+9001, -1, "offset for a time after the records")

	reader := r.reader(topic, map[int32]int64{0: 7}, ReaderConfig{MaxWait: 500 * time.Millisecond})
	nextIs := func(want int64, what string) {
		equal(poll(reader, what)[0].Offset, want, what)
	}
	nextIs(7, "first record of a reader from 7")
	seekTo := func(offset int64) { check(reader.Seek(0, offset), fmt.Sprintf("seeking to %d", offset)) }
	seekTo(Earliest)
	nextIs(0, "first record after seeking to the beginning")
	seekTo(4)
	nextIs(4, "first record after seeking to 4")
	seekTo(Latest)
	r.arrivesFrom(reader, topic, 10)
}

// arrivesFrom produces until a record comes: nothing else tells when a client has found the end.
func (r *run) arrivesFrom(reader Reader, topic string, earliest int64) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	came := make(chan *Record, 1)
	go func() {
		if got, err := reader.Poll(ctx); err != nil {
			r.fail(fmt.Errorf("reading at the end: %w", err))
		} else {
			came <- got[0]
		}
	}()
	r.eventually("a record at the end", func() error {
		r.produce(topic, records(1, 1, 100))
		select {
		case record := <-came:
			if record.Offset < earliest {
				fatalf("a record at %d, after seeking to the end at %d", record.Offset, earliest)
			}
			return nil
		case <-time.After(100 * time.Millisecond):
			return fmt.Errorf("none yet")
		}
	})
}

// committedBecomes waits until the group's committed offset is the expected one.
func (r *run) committedBecomes(group, topic string, partition int32, want Committed) {
	r.eventually(fmt.Sprintf("committed offset %+v", want), func() error {
		if got := must(r.admin.Committed(group, topic, partition))("reading committed offsets"); got != want {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

func (r *run) committedIs(group, topic string, want Committed) {
	equal(must(r.admin.Committed(group, topic, 0))("reading committed offsets"), want, "committed offset")
}

// startsAt starts a member and asserts where its first record is.
func (r *run) startsAt(config MemberConfig, offset int64) (Member, *journal) {
	j := newJournal(r)
	member := r.join(config, j)
	r.eventually(config.Name+" receives a record", func() error {
		if j.first() == nil {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	equal(j.first().Offset, offset, "first record of "+config.Name)
	return member, j
}

func commit(r *run) {
	topic := r.topic("commit", 2) // nothing happens in partition 1
	all := r.produce(topic, records(40, 1, 100))
	config := MemberConfig{Group: r.name("commit"), Topic: topic}
	named := func(name string) MemberConfig {
		config.Name = name
		return config
	}
	r.eventually("the coordinator serves", func() error {
		_, err := r.admin.Committed(config.Group, topic, 0)
		return err
	})
	r.committedIs(config.Group, topic, Committed{Offset: -1})

	alone := Committed{Offset: 10, Metadata: "without membership"}
	check(r.admin.Commit(config.Group, topic, 0, alone), "committing without membership")
	r.committedIs(config.Group, topic, alone)

	member, _ := r.startsAt(named("second"), 10)
	synchronous := Committed{Offset: 15, Metadata: "synchronous"}
	check(member.Commit(0, synchronous), "committing synchronously")
	r.committedIs(config.Group, topic, synchronous)
	asynchronous := Committed{Offset: 20, Metadata: "asynchronous"}
	check(member.CommitAsync(0, asynchronous), "committing asynchronously")
	r.committedBecomes(config.Group, topic, 0, asynchronous)
	check(member.Close(), "closing the second member")
	r.committedIs(config.Group, topic, asynchronous)

	config.AutoCommit = true
	member, j := r.startsAt(named("third"), 20)
	r.eventually("the third member receives the rest", func() error { return j.missing(all[20:]) })
	r.eventually("the offset is committed automatically", func() error {
		// A library may add metadata of its own.
		got := must(r.admin.Committed(config.Group, topic, 0))("reading committed offsets")
		if got.Offset != 40 {
			return fmt.Errorf("%d", got.Offset)
		}
		return nil
	})
	check(member.Close(), "closing the third member")

	r.produce(topic, records(1, 1, 100))
	r.startsAt(named("fourth"), 40)
	equal(must(r.admin.Committed(config.Group, topic, 1))("reading committed offsets").Offset, -1,
		"committed offset of a partition without records")
}

func deleteRecords(r *run) {
	topic := r.topic("delete-records", 1)
	all := r.produce(topic, records(100, 1, 100))
	check(r.admin.DeleteRecords(topic, 0, 40), "deleting records below 40")
	equal(must(r.admin.Offsets(topic, 1, Earliest))("beginning")[0], 40, "beginning")
	equal(must(r.admin.Offsets(topic, 1, Latest))("end")[0], 100, "end")

	config := MemberConfig{Name: "earliest", Group: r.name("earliest"), Topic: topic}
	r.startAtZero(config)
	member, j := r.startsAt(config, 40)
	r.eventually("delivery", func() error { return j.missing(all[40:]) })
	check(member.Close(), "closing the member")

	config = MemberConfig{Name: "latest", Group: r.name("latest"), Topic: topic, FromLatest: true}
	r.startAtZero(config)
	latest := newJournal(r)
	r.join(config, latest)
	r.eventually("a record at the end", func() error {
		r.produce(topic, records(1, 1, 100))
		if latest.first() == nil {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	if first := latest.first().Offset; first < 100 {
		fatalf("auto.offset.reset=latest begins at %d, not at the end", first)
	}
}

// startAtZero commits offset 0, so that the group's members read from there; it is below the beginning.
func (r *run) startAtZero(config MemberConfig) {
	r.eventually("committing offset 0", func() error {
		return r.admin.Commit(config.Group, config.Topic, 0, Committed{})
	})
}
