package sarama

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"ottla/compat/load"
	"ottla/compat/scenario"
)

var strategies = map[string]func() sarama.BalanceStrategy{
	"range":              sarama.NewBalanceStrategyRange,
	"roundrobin":         sarama.NewBalanceStrategyRoundRobin,
	"sticky":             sarama.NewBalanceStrategySticky,
	"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky,
}

// loaded is a member of the checker's group. A partition is its own while ConsumeClaim runs for it: what was committed
// is asked for before that, but after the last commit of a former owner that the group takes.
type loaded struct {
	options load.Options
	journal *load.Journal
	admin   sarama.ClusterAdmin
	// One commit at a time, and what it left is read before the next.
	committing sync.Mutex
}

func Load(ctx context.Context, options load.Options, journal *load.Journal) error {
	strategy, ok := strategies[options.Assignor]
	if !ok || options.Protocol != "classic" {
		return fmt.Errorf("sarama has no assignor %s with the %s protocol", options.Assignor, options.Protocol)
	}
	s := settings(scenario.MemberConfig{AutoCommit: !options.CommitsItself()})
	s.Consumer.Offsets.AutoCommit.Interval = load.CommitInterval
	s.Consumer.Group.Session.Timeout = options.SessionTimeout()
	s.Consumer.Group.Heartbeat.Interval = options.HeartbeatInterval()
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
	addresses := client{options.Bootstrap}.addresses()
	admin, err := sarama.NewClusterAdmin(addresses, newConfig())
	if err != nil {
		return err
	}
	group, err := sarama.NewConsumerGroup(addresses, options.Group, s)
	if err != nil {
		return err
	}
	m := &loaded{options: options, journal: journal, admin: admin}
	var told sync.WaitGroup
	told.Go(func() {
		for err := range group.Errors() {
			journal.Note("group", err)
		}
	})
	for ctx.Err() == nil {
		// It returns when a rebalance has ended the session.
		if err := group.Consume(ctx, []string{options.Topic}, m); err != nil {
			journal.Note("consume", err)
		}
	}
	// Leaves the group; the session has committed what was left.
	err = group.Close()
	told.Wait()
	return err
}

func (m *loaded) Setup(session sarama.ConsumerGroupSession) error {
	if m.options.CommitsItself() {
		go func() {
			for session.Context().Err() == nil {
				time.Sleep(load.CommitInterval)
				m.commit(session)
			}
		}()
	}
	return nil
}

func (m *loaded) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *loaded) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	partitions := []int32{claim.Partition()}
	m.journal.Assigned(partitions)
	m.read(partitions)
	for message := range claim.Messages() {
		m.journal.Delivered(message.Partition, message.Offset, message.Value)
		session.MarkMessage(message, "")
	}
	if m.options.CommitsItself() {
		m.commit(session)
	}
	m.journal.Revoked(partitions)
	return nil
}

// commit reads the offsets back, because sarama does not say what became of a commit.
func (m *loaded) commit(session sarama.ConsumerGroupSession) {
	m.committing.Lock()
	defer m.committing.Unlock()
	session.Commit()
	m.read(session.Claims()[m.options.Topic])
}

func (m *loaded) read(partitions []int32) {
	began := load.Now()
	answer, err := m.admin.ListConsumerGroupOffsets(m.options.Group, map[string][]int32{m.options.Topic: partitions})
	if err != nil {
		m.journal.Note("read", err)
		return
	}
	offsets := make(map[int32]int64)
	for _, partition := range partitions {
		if block := answer.GetBlock(m.options.Topic, partition); block != nil && block.Err == sarama.ErrNoError {
			offsets[partition] = block.Offset
		}
	}
	m.journal.Read(began, offsets)
}
