package scenario

import (
	"fmt"
	"slices"
	"sync"
)

// position is a record's place in the topic of a journal.
type position struct {
	partition int32
	offset    int64
}

// journal is told what happens to the members of a group, and reports what must not happen.
type journal struct {
	run *run
	// exclusive: a partition must be revoked from its owner before another member gets it.
	exclusive bool
	// commits: each record is committed when received, and that must succeed.
	commits bool

	lock      sync.Mutex
	owners    map[int32]string
	changes   map[string][]change // by member
	received  []*Record
	seen      map[position]bool
	committed map[int32]int64
}

// change is one call of a member's rebalance listener.
type change struct {
	revoked    bool
	partitions []int32
}

func newJournal(r *run) *journal {
	return &journal{
		run:       r,
		exclusive: true,
		owners:    make(map[int32]string),
		changes:   make(map[string][]change),
		seen:      make(map[position]bool),
		committed: make(map[int32]int64),
	}
}

func (j *journal) Assigned(member string, partitions []int32) {
	j.lock.Lock()
	defer j.lock.Unlock()
	for _, p := range partitions {
		if owner, owned := j.owners[p]; owned && j.exclusive {
			j.run.fail(fmt.Errorf("partition %d is assigned to %s while %s owns it", p, member, owner))
		}
		j.owners[p] = member
	}
	j.changes[member] = append(j.changes[member], change{partitions: partitions})
}

func (j *journal) Revoked(member string, partitions []int32) {
	j.lock.Lock()
	defer j.lock.Unlock()
	for _, p := range partitions {
		if j.owners[p] == member {
			delete(j.owners, p)
		}
	}
	j.changes[member] = append(j.changes[member], change{revoked: true, partitions: partitions})
}

func (j *journal) Received(member Member, record *Record) {
	j.deliver(member.Name(), record)
	if !j.commits {
		return
	}
	next := record.Offset + 1
	err := member.Commit(record.Partition, Committed{Offset: next})
	j.lock.Lock()
	defer j.lock.Unlock()
	switch {
	case err == nil:
		j.committed[record.Partition] = max(j.committed[record.Partition], next)
	case j.exclusive:
		j.run.fail(fmt.Errorf("%s commits %d of partition %d: %w", member.Name(), next, record.Partition, err))
	}
}

func (j *journal) deliver(member string, record *Record) {
	j.lock.Lock()
	defer j.lock.Unlock()
	at := position{record.Partition, record.Offset}
	if j.exclusive && j.owners[record.Partition] != member {
		j.run.fail(fmt.Errorf("%s receives %v, owned by %q", member, at, j.owners[record.Partition]))
	}
	if j.seen[at] && record.Offset < j.committed[record.Partition] {
		j.run.fail(fmt.Errorf("%s receives %v again, committed up to %d", member, at, j.committed[record.Partition]))
	}
	j.seen[at] = true
	j.received = append(j.received, record)
}

func (j *journal) Failed(member string, err error) {
	if j.exclusive {
		j.run.fail(fmt.Errorf("%s: %w", member, err))
	}
}

// owned lists a member's partitions.
func (j *journal) owned(member string) []int32 {
	j.lock.Lock()
	defer j.lock.Unlock()
	var mine []int32
	for p, owner := range j.owners {
		if owner == member {
			mine = append(mine, p)
		}
	}
	slices.Sort(mine)
	return mine
}

// changesOf counts the calls of a member's rebalance listener.
func (j *journal) changesOf(member string) int {
	j.lock.Lock()
	defer j.lock.Unlock()
	return len(j.changes[member])
}

// revokedSince lists what was revoked from a member after its first calls.
func (j *journal) revokedSince(member string, calls int) []int32 {
	j.lock.Lock()
	defer j.lock.Unlock()
	var revoked []int32
	for _, change := range j.changes[member][calls:] {
		if change.revoked {
			revoked = append(revoked, change.partitions...)
		}
	}
	return revoked
}

// first is the first record received, nil before that.
func (j *journal) first() *Record {
	j.lock.Lock()
	defer j.lock.Unlock()
	if len(j.received) == 0 {
		return nil
	}
	return j.received[0]
}

// missing says which of the records were not received or came back otherwise.
func (j *journal) missing(want []*Record) error {
	j.lock.Lock()
	defer j.lock.Unlock()
	received := make(map[position]*Record, len(j.received))
	for _, record := range j.received {
		received[position{record.Partition, record.Offset}] = record
	}
	absent := 0
	for _, record := range want {
		at := position{record.Partition, record.Offset}
		got, ok := received[at]
		if !ok {
			absent++
		} else if difference := record.difference(got); difference != "" {
			j.run.fail(fmt.Errorf("%v: %s", at, difference))
		}
	}
	if absent > 0 {
		return fmt.Errorf("%d of %d records were not received", absent, len(want))
	}
	return nil
}
