package sarama

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"ottla/compat/scenario"
)

type transactional struct{ producer }

func (c client) Transactional(id string, timeout time.Duration) (scenario.Transactional, error) {
	settings := producerSettings(scenario.ProducerConfig{Acks: -1, Idempotent: true})
	settings.Producer.Transaction.ID = id
	if timeout > 0 {
		settings.Producer.Transaction.Timeout = timeout
	}
	connection, err := sarama.NewSyncProducer(c.addresses(), settings)
	if err != nil {
		return nil, err
	}
	return transactional{producer{connection}}, nil
}

func (t transactional) Begin() error { return t.BeginTxn() }

func (t transactional) End(commit bool) error {
	if commit {
		return t.CommitTxn()
	}
	return t.AbortTxn()
}

// transformer is a handler whose claims give what they read to Poll.
type transformer struct {
	scenario.Transactional
	producer sarama.SyncProducer
	config   scenario.TransformerConfig
	group    sarama.ConsumerGroup
	arrivals chan *sarama.ConsumerMessage
	sessions chan sarama.ConsumerGroupSession
	metadata *sarama.ConsumerGroupMetadata
	offsets  map[int32]int64
	leave    context.CancelFunc
	running  sync.WaitGroup
	failure  chan error
	close    func()
}

func (c client) Transformer(config scenario.TransformerConfig) (scenario.Transformer, error) {
	if config.Protocol == scenario.Consumer {
		return nil, errClassicOnly
	}
	writer, err := c.Transactional(config.ID, 0)
	if err != nil {
		return nil, err
	}
	s := settings(scenario.MemberConfig{})
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	group, err := sarama.NewConsumerGroup(c.addresses(), config.Group, s)
	if err != nil {
		writer.Close()
		return nil, err
	}
	ctx, leave := context.WithCancel(context.Background())
	t := &transformer{
		Transactional: writer,
		producer:      writer.(transactional).SyncProducer,
		config:        config,
		group:         group,
		arrivals:      make(chan *sarama.ConsumerMessage),
		sessions:      make(chan sarama.ConsumerGroupSession, 1),
		offsets:       make(map[int32]int64),
		leave:         leave,
		failure:       make(chan error, 1),
	}
	t.close = sync.OnceFunc(t.end)
	t.running.Go(func() { t.failure <- group.Consume(ctx, []string{config.Topic}, t) })
	return t, nil
}

// Setup is called once: nothing rebalances a group of one.
func (t *transformer) Setup(session sarama.ConsumerGroupSession) error {
	t.sessions <- session
	return nil
}

func (t *transformer) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (t *transformer) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			select {
			case t.arrivals <- message:
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// Poll takes one record after the other, until there is none for a while.
func (t *transformer) Poll(ctx context.Context, count int) ([]*scenario.Record, error) {
	if t.metadata == nil {
		select {
		case session := <-t.sessions:
			t.metadata = sarama.NewConsumerGroupMetadataFromSession(session, t.config.Group, nil)
		case err := <-t.failure:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var records []*scenario.Record
	for len(records) < count {
		var pause <-chan time.Time
		if len(records) > 0 {
			pause = time.After(100 * time.Millisecond)
		}
		select {
		case message := <-t.arrivals:
			records = append(records, incoming(message))
			t.offsets[message.Partition] = message.Offset + 1
		case <-pause:
			return records, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return records, nil
}

func (t *transformer) End(commit bool) error {
	if err := t.addOffsets(t.metadata); err != nil {
		return err
	}
	return t.Transactional.End(commit)
}

// addOffsets makes the offsets part of the transaction; the broker hears of them when it is committed.
func (t *transformer) addOffsets(metadata *sarama.ConsumerGroupMetadata) error {
	var offsets []*sarama.PartitionOffsetMetadata
	for partition, offset := range t.offsets {
		offsets = append(offsets, &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset, LeaderEpoch: -1})
	}
	added := map[string][]*sarama.PartitionOffsetMetadata{t.config.Topic: offsets}
	return t.producer.AddOffsetsToTxnWithGroupMetadata(added, metadata)
}

func (t *transformer) CommitAs(other scenario.Transformer) error {
	former := other.(*transformer)
	if err := t.Begin(); err != nil {
		return err
	}
	t.offsets = former.offsets
	if err := t.addOffsets(former.metadata); err != nil {
		return err
	}
	t.offsets = make(map[int32]int64)
	err := t.Transactional.End(true)
	if err == nil {
		return nil
	}
	if aborting := t.Transactional.End(false); aborting != nil {
		return aborting
	}
	return err
}

func (t *transformer) Close() { t.close() }

func (t *transformer) end() {
	t.leave()
	t.running.Wait()
	_ = t.group.Close()
	t.Transactional.Close()
}
