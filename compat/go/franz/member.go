package franz

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/compat/scenario"
)

type member struct {
	*kgo.Client
	config scenario.MemberConfig
	events scenario.Events
	leave  context.CancelFunc
	left   chan struct{}
}

func (c client) Member(config scenario.MemberConfig, events scenario.Events) (scenario.Member, error) {
	if config.Protocol == scenario.Consumer && config.InstanceID != "" {
		return nil, scenario.Lacks("a static member that closes sends epoch -2 without its instance id, which Apache " +
			"Kafka refuses, and stays until its session ends")
	}
	ctx, leave := context.WithCancel(background)
	m := &member{config: config, events: events, leave: leave, left: make(chan struct{})}
	connection, err := c.connect(m.options()...)
	if err != nil {
		leave()
		return nil, err
	}
	m.Client = connection
	go m.consume(ctx)
	return m, nil
}

func (m *member) options() []kgo.Opt {
	balancer, reset := kgo.RoundRobinBalancer(), kgo.NewOffset().AtStart()
	if m.config.Assignor == scenario.CooperativeSticky {
		balancer = kgo.CooperativeStickyBalancer()
	}
	if m.config.FromLatest {
		reset = kgo.NewOffset().AtEnd()
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(m.config.Group),
		kgo.ConsumeTopics(cmp.Or(m.config.Pattern, m.config.Topic)),
		kgo.ConsumeResetOffset(reset),
		kgo.Balancers(balancer),
		kgo.SessionTimeout(m.config.SessionTimeout()),
		kgo.HeartbeatInterval(m.config.HeartbeatInterval()),
		kgo.BlockRebalanceOnPoll(),
		// The first fetch may leave out a partition, which then waits as long as that one does.
		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(each(m.config.Topic, m.named(m.events.Assigned))),
		kgo.OnPartitionsRevoked(each(m.config.Topic, m.named(m.events.Revoked))),
		kgo.OnPartitionsLost(each(m.config.Topic, m.named(m.events.Revoked))),
	}
	if m.config.Pattern != "" {
		options = append(options, kgo.ConsumeRegex())
	}
	if m.config.Protocol == scenario.Consumer {
		options = append(options, serverSide()...)
	}
	if m.config.InstanceID != "" {
		options = append(options, kgo.InstanceID(m.config.InstanceID))
	}
	if m.config.AutoCommit {
		return append(options, kgo.AutoCommitInterval(m.config.AutoCommitInterval()))
	}
	return append(options, kgo.DisableAutoCommit())
}

// serverSide is the consumer protocol; the balancer stands for the one of the broker that is like it.
func serverSide() []kgo.Opt {
	return []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())}
}

// each passes a rebalance on; kgo also tells of one in which nothing changed.
func each(topic string, event func([]int32)) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
		if partitions := topics[topic]; len(partitions) > 0 {
			event(partitions)
		}
	}
}

func (m *member) named(event func(string, []int32)) func([]int32) {
	return func(partitions []int32) { event(m.config.Name, partitions) }
}

func (m *member) consume(ctx context.Context) {
	defer close(m.left)
	for ctx.Err() == nil {
		fetches := m.PollFetches(ctx)
		fetches.EachRecord(func(record *kgo.Record) { m.events.Received(m, incoming(record)) })
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) {
				m.events.Failed(m.config.Name, err)
			}
		})
		m.AllowRebalance()
	}
}

func (m *member) Name() string { return m.config.Name }

func (m *member) Commit(partition int32, committed scenario.Committed) error {
	result := make(chan error, 1)
	m.CommitOffsetsSync(m.with(committed), m.offsets(partition, committed), answered(result))
	return <-result
}

func (m *member) CommitAsync(partition int32, committed scenario.Committed) error {
	m.CommitOffsets(m.with(committed), m.offsets(partition, committed), answered(make(chan error, 1)))
	return nil
}

func (m *member) offsets(partition int32, committed scenario.Committed) map[string]map[int32]kgo.EpochOffset {
	offset := kgo.EpochOffset{Epoch: -1, Offset: committed.Offset}
	return map[string]map[int32]kgo.EpochOffset{m.config.Topic: {partition: offset}}
}

// with adds the metadata, which kgo lets an application put into the request.
func (m *member) with(committed scenario.Committed) context.Context {
	return kgo.PreCommitFnContext(background, func(request *kmsg.OffsetCommitRequest) error {
		for _, topic := range request.Topics {
			for i := range topic.Partitions {
				topic.Partitions[i].Metadata = &committed.Metadata
			}
		}
		return nil
	})
}

func answered(result chan<- error) func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error) {
	return func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			for _, topic := range response.Topics {
				for _, partition := range topic.Partitions {
					err = errors.Join(err, kerr.ErrorForCode(partition.ErrorCode))
				}
			}
		}
		result <- err
	}
}

// Close leaves the group, unless the member is static.
func (m *member) Close() error {
	m.leave()
	<-m.left
	m.CloseAllowingRebalance()
	return nil
}
