package scenario

import (
	"fmt"
	"slices"
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

func group(r *run) {
	topic := r.topic("group", groupPartitions)
	j := newJournal(r)
	j.commits = true
	config := MemberConfig{Group: r.name("group"), Topic: topic}
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

func static(r *run) {
	topic := r.topic("static", groupPartitions)
	j := newJournal(r)
	config := func(name string) MemberConfig {
		return MemberConfig{Name: name, InstanceID: name, Group: r.name("static"), Topic: topic}
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
