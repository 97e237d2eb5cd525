package scenario

import (
	"context"
	"fmt"
)

const (
	transformPartitions = 2
	transformRecords    = 300
	transformAtOnce     = 50
)

// transform is a group that carries records from one topic to another.
type transform struct {
	*run
	config    TransformerConfig
	output    string
	committed []int64
	done      []*Record
}

func exactlyOnceWith(protocol Protocol) func(*run) {
	return func(r *run) { exactlyOnce(r, protocol) }
}

func exactlyOnce(r *run, protocol Protocol) {
	t := &transform{run: r, output: r.topic("output", transformPartitions), committed: make([]int64, transformPartitions)}
	t.config = TransformerConfig{
		Group:    r.name("group"),
		Topic:    r.topic("input", transformPartitions),
		ID:       r.name("writer"),
		Protocol: protocol,
	}
	r.produce(t.config.Topic, records(transformRecords, transformPartitions, 200))

	first := t.start()
	t.step(first, true)
	t.step(first, true)
	t.step(first, false)
	first.Close()

	second := t.start()
	if member, ok := second.(Impostor); ok {
		r.refused(member.CommitAs(first), "a commit of one that has left", UnknownMemberID)
	}
	for len(t.done) < transformRecords {
		t.step(second, true)
	}
	last := r.produce(t.output, records(transformPartitions, transformPartitions, 200))
	r.reads(t.output, true, append(t.done, last...))
}

func (t *transform) start() Transformer {
	member := must(t.client.Transformer(t.config))("making a transforming member")
	t.atEnd(member.Close)
	return member
}

// step transforms the next records, which begin at what was committed, in one transaction.
func (t *transform) step(member Transformer, commits bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got := must(member.Poll(ctx, transformAtOnce))("reading the input")
	next := append([]int64(nil), t.committed...)
	transformed := make([]*Record, len(got))
	for i, record := range got {
		equal(record.Offset, next[record.Partition], fmt.Sprintf("what is read of %d", record.Partition))
		next[record.Partition]++
		value := fmt.Appendf(nil, "transformed %s", record.Value)
		transformed[i] = &Record{Partition: record.Partition, TimestampMs: record.TimestampMs, Key: record.Key, Value: value}
	}
	check(member.Begin(), "beginning a transaction")
	check(member.Produce(t.output, transformed), "producing in a transaction")
	check(t.areCommitted(), "while the transaction is open")
	check(member.End(commits), "ending a transaction")
	if commits {
		t.committed = next
		t.done = append(t.done, transformed...)
	}
	// The end is answered before the group's coordinator has heard of it.
	t.eventually("the committed offsets", t.areCommitted)
}

func (t *transform) areCommitted() error {
	for p, want := range t.committed {
		got := must(t.admin.Committed(t.config.Group, t.config.Topic, int32(p)))("reading committed offsets")
		if max(got.Offset, 0) != want {
			return fmt.Errorf("%d in %d, not %d", got.Offset, p, want)
		}
	}
	return nil
}
