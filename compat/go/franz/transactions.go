package franz

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ottla/compat/scenario"
)

type transactional struct{ producer }

func transactionalOptions(id string) []kgo.Opt {
	return []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(id)}
}

func (c client) Transactional(id string, timeout time.Duration) (scenario.Transactional, error) {
	options := transactionalOptions(id)
	if timeout > 0 {
		options = append(options, kgo.TransactionTimeout(timeout))
	}
	connection, err := c.connect(options...)
	if err != nil {
		return nil, err
	}
	return transactional{producer{connection}}, nil
}

func (t transactional) Begin() error { return t.BeginTransaction() }

func (t transactional) End(commit bool) error {
	return t.EndTransaction(background, kgo.TransactionEndTry(commit))
}

// transformer is a session, which commits the offsets of what was polled with the transaction.
type transformer struct {
	transactional
	session *kgo.GroupTransactSession
}

func (c client) Transformer(config scenario.TransformerConfig) (scenario.Transformer, error) {
	options := append(transactionalOptions(config.ID),
		kgo.SeedBrokers(c.bootstrap),
		kgo.ConsumerGroup(config.Group),
		kgo.ConsumeTopics(config.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(500*time.Millisecond),
	)
	if config.Protocol == scenario.Consumer {
		options = append(options, serverSide()...)
	}
	session, err := kgo.NewGroupTransactSession(options...)
	if err != nil {
		return nil, err
	}
	return transformer{transactional{producer{session.Client()}}, session}, nil
}

func (t transformer) Poll(ctx context.Context, count int) ([]*scenario.Record, error) {
	fetches := t.session.PollRecords(ctx, count)
	var records []*scenario.Record
	fetches.EachRecord(func(record *kgo.Record) { records = append(records, incoming(record)) })
	return records, fetches.Err()
}

var errNotCommitted = errors.New("the session has aborted what was to be committed")

func (t transformer) End(commit bool) error {
	committed, err := t.session.End(background, kgo.TransactionEndTry(commit))
	if commit && !committed {
		return cmp.Or(err, errNotCommitted)
	}
	return err
}

func (a admin) StableEnd(topic string) (int64, error) {
	listed, err := a.client.ListCommittedOffsets(background, topic)
	if err != nil {
		return 0, err
	}
	offset, ok := listed.Lookup(topic, 0)
	if !ok {
		return 0, unexpected(topic)
	}
	return offset.Offset, offset.Err
}

func (a admin) DescribeTransaction(id string) (scenario.Transaction, error) {
	described, err := a.client.DescribeTransactions(background, id)
	if err != nil {
		return scenario.Transaction{}, err
	}
	one, err := described.On(id, nil)
	transaction := scenario.Transaction{
		Coordinator: one.Coordinator,
		State:       one.State,
		ProducerID:  one.ProducerID,
		Epoch:       one.ProducerEpoch,
		TimeoutMs:   one.TimeoutMillis,
		StartMs:     one.StartTimestamp,
		Partitions:  make(map[string][]int32),
	}
	for _, topic := range one.Topics.Sorted() {
		transaction.Partitions[topic.Topic] = topic.Partitions
	}
	return transaction, cmp.Or(err, one.Err)
}

func (a admin) ListTransactions(filter scenario.ListFilter) ([]string, error) {
	answer, err := a.client.ListTransactionsByTxPattern(background, filter.ProducerIDs, filter.States, filter.Pattern)
	if err != nil {
		return nil, err
	}
	var listed []string
	answer.Each(func(one kadm.ListedTransaction) { listed = append(listed, one.TxnID+" "+one.State) })
	return listed, nil
}

func (a admin) DescribeProducer(topic string, partition int32, id int64) (scenario.ProducerState, error) {
	var asked kadm.TopicsSet
	asked.Add(topic, partition)
	described, err := a.client.DescribeProducers(background, asked)
	if err != nil {
		return scenario.ProducerState{}, err
	}
	answer := described[topic].Partitions[partition]
	one, ok := answer.ActiveProducers[id]
	if !ok {
		return scenario.ProducerState{}, cmp.Or(answer.Err, unexpected("the producer"))
	}
	return scenario.ProducerState{
		Epoch:        one.ProducerEpoch,
		LastSequence: one.LastSequence,
		OpenSince:    one.CurrentTxnStartOffset,
	}, answer.Err
}

func (a admin) AbortHanging(topic string, partition int32, transaction scenario.Transaction) error {
	var partitions kadm.TopicsSet
	partitions.Add(topic, partition)
	answer, err := a.client.WriteTxnMarkers(background, kadm.TxnMarkers{
		ProducerID:    transaction.ProducerID,
		ProducerEpoch: transaction.Epoch,
		Topics:        partitions,
	})
	if err != nil {
		return err
	}
	written, ok := answer[transaction.ProducerID].Topics[topic].Partitions[partition]
	if !ok {
		return unexpected("the partition")
	}
	return written.Err
}
