package franz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/compat/load"
)

var balancers = map[string]func() kgo.GroupBalancer{
	"range":              kgo.RangeBalancer,
	"roundrobin":         kgo.RoundRobinBalancer,
	"sticky":             kgo.StickyBalancer,
	"cooperative-sticky": kgo.CooperativeStickyBalancer,
}

// loaded is a member of the checker's group. A rebalance waits while records are written down or committed, so that its
// callbacks and the loop are never in the positions together.
type loaded struct {
	*kgo.Client
	options load.Options
	journal *load.Journal
	// Delivered since the last commit: the offsets to commit next.
	positions map[int32]int64
}

func Load(ctx context.Context, options load.Options, journal *load.Journal) error {
	m := &loaded{options: options, journal: journal, positions: make(map[int32]int64)}
	settings, err := m.settings()
	if err != nil {
		return err
	}
	if m.Client, err = (client{options.Bootstrap}).connect(settings...); err != nil {
		return err
	}
	m.consume(ctx)
	// Leaves the group; revoking commits what is left.
	m.CloseAllowingRebalance()
	return nil
}

func (m *loaded) settings() ([]kgo.Opt, error) {
	balancer, ok := balancers[m.options.Assignor]
	if !ok {
		return nil, fmt.Errorf("franz-go has no assignor %s", m.options.Assignor)
	}
	settings := []kgo.Opt{
		kgo.ConsumerGroup(m.options.Group),
		kgo.ConsumeTopics(m.options.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(load.FetchMaxWait),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(each(m.options.Topic, m.assigned)),
		kgo.OnPartitionsRevoked(each(m.options.Topic, m.revoked)),
		kgo.OnPartitionsLost(each(m.options.Topic, m.lost)),
	}
	if m.options.Protocol == "consumer" {
		// The balancer stands for the one of the broker that is like it.
		if m.options.Assignor != "range" {
			balancer = kgo.StickyBalancer
		}
		settings = append(settings, kgo.ServerSideBalancer())
	} else {
		settings = append(settings,
			kgo.SessionTimeout(m.options.SessionTimeout()),
			kgo.HeartbeatInterval(m.options.HeartbeatInterval()))
	}
	settings = append(settings, kgo.Balancers(balancer()))
	if m.options.CommitsItself() {
		return append(settings, kgo.DisableAutoCommit()), nil
	}
	return append(settings,
		kgo.AutoCommitInterval(load.CommitInterval),
		kgo.AutoCommitCallback(m.confirmed)), nil
}

func (m *loaded) consume(ctx context.Context) {
	lastCommit := time.Now()
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, load.Poll)
		// What a poll gave counts as read with the next one, not before: the lines are written by then.
		fetches := m.PollFetches(poll)
		cancel()
		fetches.EachRecord(func(record *kgo.Record) {
			m.journal.Delivered(record.Partition, record.Offset, record.Value)
			m.positions[record.Partition] = record.Offset + 1
		})
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				m.journal.Note("poll", err)
			}
		})
		if time.Since(lastCommit) >= load.CommitInterval {
			m.commit()
			lastCommit = time.Now()
		}
		m.AllowRebalance()
	}
}

func (m *loaded) commit() {
	if !m.options.CommitsItself() || len(m.positions) == 0 {
		return
	}
	offsets := make(map[int32]kgo.EpochOffset)
	for partition, offset := range m.positions {
		offsets[partition] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	result := make(chan error, 1)
	sent := load.Now()
	m.CommitOffsetsSync(background, map[string]map[int32]kgo.EpochOffset{m.options.Topic: offsets}, answered(result))
	if err := <-result; err != nil {
		m.journal.Note("commit", err)
		return
	}
	m.journal.Committed(sent, m.positions)
	clear(m.positions)
}

// confirmed tells what the client commits by itself.
func (m *loaded) confirmed(
	_ *kgo.Client, request *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error,
) {
	if err != nil {
		m.journal.Note("commit", err)
		return
	}
	refused := make(map[int32]bool)
	for _, topic := range response.Topics {
		for _, partition := range topic.Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				m.journal.Note("commit", err)
				refused[partition.Partition] = true
			}
		}
	}
	offsets := make(map[int32]int64)
	for _, topic := range request.Topics {
		for _, partition := range topic.Partitions {
			if !refused[partition.Partition] {
				offsets[partition.Partition] = partition.Offset
			}
		}
	}
	m.journal.Committed(0, offsets)
}

// assigned comes before kgo asks for the committed offsets.
func (m *loaded) assigned(partitions []int32) {
	m.journal.Assigned(partitions)
	ctx, cancel := context.WithTimeout(background, load.ReadTimeout)
	defer cancel()
	began := load.Now()
	answer, err := kadm.NewClient(m.Client).FetchOffsetsForTopics(ctx, m.options.Group, m.options.Topic)
	if err != nil {
		m.journal.Note("read", err)
		return
	}
	offsets := make(map[int32]int64)
	answer.Each(func(offset kadm.OffsetResponse) {
		if offset.Err == nil && slices.Contains(partitions, offset.Partition) {
			offsets[offset.Partition] = offset.At
		}
	})
	m.journal.Read(began, offsets)
}

func (m *loaded) revoked(partitions []int32) {
	if m.options.CommitsItself() {
		m.commit()
	} else {
		// As kgo does when nobody listens.
		m.CommitOffsetsSync(background, m.UncommittedOffsets(), m.confirmed)
	}
	m.forget(partitions)
}

func (m *loaded) lost(partitions []int32) {
	m.journal.Note("lost", errors.New("the assignment"))
	m.forget(partitions)
}

func (m *loaded) forget(partitions []int32) {
	for _, partition := range partitions {
		delete(m.positions, partition)
	}
	m.journal.Revoked(partitions)
}
