package sarama

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"ottla/compat/scenario"
)

// member is a consumer group member and its handler. A partition is its own while ConsumeClaim runs for it.
type member struct {
	config  scenario.MemberConfig
	events  scenario.Events
	group   sarama.ConsumerGroup
	admin   scenario.Admin
	session atomic.Pointer[sarama.ConsumerGroupSession]
	leave   context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
}

const errClassicOnly = scenario.Lacks("sarama has only the classic protocol of groups")

func (c client) Member(config scenario.MemberConfig, events scenario.Events) (scenario.Member, error) {
	switch {
	case config.Pattern != "":
		return nil, scenario.Lacks("sarama subscribes to names of topics only, not to a pattern")
	case config.Protocol == scenario.Consumer:
		return nil, errClassicOnly
	}
	admin, err := c.Admin()
	if err != nil {
		return nil, err
	}
	group, err := sarama.NewConsumerGroup(c.addresses(), config.Group, settings(config))
	if err != nil {
		admin.Close()
		return nil, err
	}
	ctx, leave := context.WithCancel(context.Background())
	m := &member{config: config, events: events, group: group, admin: admin, leave: leave}
	m.running.Go(func() { m.consume(ctx) })
	m.running.Go(func() {
		for err := range group.Errors() {
			events.Failed(config.Name, err)
		}
	})
	return m, nil
}

func settings(config scenario.MemberConfig) *sarama.Config {
	s := newConfig()
	s.Consumer.Return.Errors = true
	// A commit goes over the connection of the fetches and is answered after the one that waits.
	s.Consumer.MaxWaitTime = 50 * time.Millisecond
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	if config.FromLatest {
		s.Consumer.Offsets.Initial = sarama.OffsetNewest
	}
	s.Consumer.Offsets.AutoCommit.Enable = config.AutoCommit
	s.Consumer.Offsets.AutoCommit.Interval = config.AutoCommitInterval()
	s.Consumer.Group.InstanceId = config.InstanceID
	s.Consumer.Group.Session.Timeout = config.SessionTimeout()
	s.Consumer.Group.Heartbeat.Interval = config.HeartbeatInterval()
	strategy := sarama.NewBalanceStrategyRoundRobin()
	if config.Assignor == scenario.CooperativeSticky {
		strategy = sarama.NewBalanceStrategyCooperativeSticky()
	}
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	return s
}

// consume joins again whenever a rebalance has ended a session.
func (m *member) consume(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.group.Consume(ctx, []string{m.config.Topic}, m)
		if err != nil && ctx.Err() == nil {
			m.events.Failed(m.config.Name, err)
		}
	}
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.session.Store(&session)
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	partitions := []int32{claim.Partition()}
	m.events.Assigned(m.config.Name, partitions)
	defer m.events.Revoked(m.config.Name, partitions)
	for message := range claim.Messages() {
		m.events.Received(m, incoming(message))
		if m.config.AutoCommit {
			session.MarkMessage(message, "")
		}
	}
	return nil
}

func (m *member) Name() string { return m.config.Name }

var errNoSession = errors.New("the member has no session")

// Commit reads the offset back, because sarama does not say what became of a commit.
func (m *member) Commit(partition int32, committed scenario.Committed) error {
	session := m.session.Load()
	if session == nil {
		return errNoSession
	}
	(*session).MarkOffset(m.config.Topic, partition, committed.Offset, committed.Metadata)
	(*session).Commit()
	got, err := m.admin.Committed(m.config.Group, m.config.Topic, partition)
	if err != nil {
		return err
	}
	if got.Offset < committed.Offset {
		return fmt.Errorf("committed %d, but the group has %d", committed.Offset, got.Offset)
	}
	return nil
}

func (m *member) CommitAsync(partition int32, committed scenario.Committed) error {
	session := m.session.Load()
	if session == nil {
		return errNoSession
	}
	(*session).MarkOffset(m.config.Topic, partition, committed.Offset, committed.Metadata)
	go (*session).Commit()
	return nil
}

// Close leaves the group, unless the member is static.
func (m *member) Close() error {
	var err error
	m.once.Do(func() {
		m.leave()
		err = m.group.Close()
		m.running.Wait()
		m.admin.Close()
	})
	return err
}
