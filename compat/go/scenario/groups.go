package scenario

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const groupPartitions = 6

// join starts a member; it is closed at the end of the scenario if it is not before.
func (r *run) join(config MemberConfig, events Events) Member {
	member := must(r.client.Member(config, events))("starting " + config.Name)
	r.atEnd(func() { _ = member.Close() })
	return member
}

// share waits until the members own all partitions, each the same number of them.
func (r *run) share(j *journal, members ...string) {
	each := groupPartitions / len(members)
	r.eventually(fmt.Sprintf("%v own %d partitions each", members, each), func() error {
		for _, member := range members {
			if mine := j.owned(member); len(mine) != each {
				return fmt.Errorf("%s owns %v", member, mine)
			}
		}
		return nil
	})
}

// delivers produces records and waits until members of the group have received them.
func (r *run) delivers(j *journal, topic string, count int) []*Record {
	all := r.produce(topic, records(count, groupPartitions, 200))
	r.eventually("delivery", func() error { return j.missing(all) })
	return all
}

func groupWith(protocol Protocol) func(*run) {
	return func(r *run) { group(r, protocol) }
}

func group(r *run, protocol Protocol) {
	topic := r.topic("group", groupPartitions)
	j := newJournal(r)
	j.commits = true
	config := MemberConfig{Group: r.name("group"), Topic: topic, Protocol: protocol}
	member := func(name string) Member {
		config.Name = name
		return r.join(config, j)
	}
	member("first")
	second := member("second")
	member("third")
	r.share(j, "first", "second", "third")
	all := r.delivers(j, topic, 200)

	check(second.Close(), "closing the second member")
	r.share(j, "first", "third")
	all = append(all, r.delivers(j, topic, 200)...)

	member("fourth")
	r.share(j, "first", "third", "fourth")
	all = append(all, r.delivers(j, topic, 200)...)

	check(j.missing(all), "at the end")
	ends := must(r.admin.Offsets(topic, groupPartitions, Latest))("end offsets")
	for p, end := range ends {
		r.committedBecomes(config.Group, topic, int32(p), Committed{Offset: end})
	}
}

func staticWith(protocol Protocol) func(*run) {
	return func(r *run) { static(r, protocol) }
}

func static(r *run, protocol Protocol) {
	topic := r.topic("static", groupPartitions)
	j := newJournal(r)
	config := func(name string) MemberConfig {
		return MemberConfig{Name: name, InstanceID: name, Group: r.name("static"), Topic: topic, Protocol: protocol}
	}
	names := []string{"first", "second", "third"}
	members := make(map[string]Member)
	for _, name := range names {
		members[name] = r.join(config(name), j)
	}
	r.share(j, names...)
	r.delivers(j, topic, 60)

	// The third as well as the first: one of the members is the leader, whose return Apache Kafka answers otherwise.
	for _, name := range names {
		before := j.owned(name)
		calls := make(map[string]int)
		for _, other := range names {
			calls[other] = j.changesOf(other)
		}
		check(members[name].Close(), "closing "+name)
		equal(len(j.owned(name)), 0, "partitions of "+name+" when it is closed")
		members[name] = r.join(config(name), j)
		r.share(j, names...)
		equalAll(j.owned(name), before, "partitions of "+name+" after its return")
		r.delivers(j, topic, 60)
		for _, other := range names {
			if other != name {
				equal(j.changesOf(other), calls[other], "rebalances seen by "+other+" while "+name+" was away")
			}
		}
	}
}

func cooperative(r *run) {
	topic := r.topic("cooperative", groupPartitions)
	j := newJournal(r)
	config := MemberConfig{Group: r.name("cooperative"), Topic: topic, Assignor: CooperativeSticky}
	member := func(name string) {
		config.Name = name
		r.join(config, j)
	}
	member("first")
	member("second")
	r.share(j, "first", "second")
	r.delivers(j, topic, 60)

	stayed := []string{"first", "second"}
	calls := make(map[string]int)
	for _, name := range stayed {
		calls[name] = j.changesOf(name)
	}
	member("third")
	r.share(j, "first", "second", "third")
	r.delivers(j, topic, 60)
	for _, name := range stayed {
		revoked := j.revokedSince(name, calls[name])
		equal(len(revoked), 1, "partitions revoked from "+name)
		if kept := j.owned(name); slices.Contains(kept, revoked[0]) {
			fatalf("%s keeps %v, but %v was revoked in between", name, kept, revoked)
		}
	}
}

func migrate(r *run) {
	topic := r.topic("migrate", groupPartitions)
	j := newJournal(r)
	j.commits = true
	config := MemberConfig{Group: r.name("migrate"), Topic: topic}
	join := func(name string, protocol Protocol) Member {
		config.Name, config.Protocol = name, protocol
		return r.join(config, j)
	}
	members := []Member{join("first", Classic), join("second", Classic)}
	r.share(j, "first", "second")
	all := r.delivers(j, topic, 60)
	for _, protocol := range []Protocol{Consumer, Classic} {
		for i, former := range members {
			check(former.Close(), "closing "+former.Name())
			members[i] = join(fmt.Sprintf("%s's successor", former.Name()), protocol)
			r.share(j, members[0].Name(), members[1].Name())
			all = append(all, r.delivers(j, topic, 60)...)
		}
	}
	check(j.missing(all), "at the end")
}

// values are what a member has received.
type values struct {
	run  *run
	lock sync.Mutex
	got  []string
}

func (*values) Assigned(string, []int32) {}
func (*values) Revoked(string, []int32)  {}

func (v *values) Received(_ Member, record *Record) {
	v.lock.Lock()
	defer v.lock.Unlock()
	v.got = append(v.got, string(record.Value))
}

func (v *values) Failed(member string, err error) { v.run.fail(fmt.Errorf("%s: %w", member, err)) }

func (v *values) are(want ...string) error {
	v.lock.Lock()
	defer v.lock.Unlock()
	if !slices.Equal(v.got, want) {
		return fmt.Errorf("received %v, not %v", v.got, want)
	}
	return nil
}

func regex(r *run) {
	write := func(what string) {
		r.produce(r.topic(what, 1), []*Record{{Value: []byte(what), TimestampMs: time.Now().UnixMilli()}})
	}
	write("regex-first")
	write("other")
	v := &values{run: r}
	pattern := "^compat-regex-.*-" + r.id + "$"
	r.join(MemberConfig{Name: "first", Group: r.name("regex"), Pattern: pattern, Protocol: Consumer}, v)
	r.eventually("the first topic", func() error { return v.are("regex-first") })
	write("regex-later")
	r.eventually("the later topic", func() error { return v.are("regex-first", "regex-later") })
}
