// Package sarama runs the scenarios with sarama at the newest protocol version it knows.
package sarama

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"ottla/compat/scenario"
)

const Module = "github.com/IBM/sarama"

var codecs = map[string]sarama.CompressionCodec{
	"":       sarama.CompressionNone,
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

type client struct{ bootstrap string }

func New(bootstrap string) scenario.Client { return client{bootstrap} }

func (c client) addresses() []string { return []string{c.bootstrap} }

func newConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.Timeout = time.Minute // it would ask a silent broker for minutes
	return config
}

func (client) Code(err error) (int16, bool) {
	if all, ok := errors.AsType[sarama.ProducerErrors](err); ok && len(all) > 0 {
		err = all[0]
	}
	code, ok := errors.AsType[sarama.KError](err)
	return int16(code), ok
}

func (c client) Admin() (scenario.Admin, error) {
	connection, err := sarama.NewClusterAdmin(c.addresses(), newConfig())
	if err != nil {
		return nil, err
	}
	return admin{connection}, nil
}

type producer struct{ sarama.SyncProducer }

func producerSettings(config scenario.ProducerConfig) *sarama.Config {
	settings := newConfig()
	settings.Producer.Partitioner = sarama.NewManualPartitioner
	settings.Producer.Return.Successes = true
	settings.Producer.RequiredAcks = sarama.RequiredAcks(config.Acks)
	settings.Producer.Compression = codecs[config.Codec]
	if config.Idempotent {
		settings.Producer.Idempotent = true
		settings.Net.MaxOpenRequests = 1 // sarama demands it
		settings.Producer.Retry.Max = 100
	}
	if config.MaxMessageBytes > 0 {
		settings.Producer.MaxMessageBytes = config.MaxMessageBytes
	}
	return settings
}

func (c client) Producer(config scenario.ProducerConfig) (scenario.Producer, error) {
	connection, err := sarama.NewSyncProducer(c.addresses(), producerSettings(config))
	if err != nil {
		return nil, err
	}
	return producer{connection}, nil
}

func (p producer) Close() { _ = p.SyncProducer.Close() }

func (p producer) Produce(topic string, records []*scenario.Record) error {
	sent := make([]*sarama.ProducerMessage, len(records))
	for i, record := range records {
		sent[i] = outgoing(topic, record)
	}
	if err := p.SendMessages(sent); err != nil {
		if all, ok := errors.AsType[sarama.ProducerErrors](err); ok {
			err = fmt.Errorf("%w: %w", err, all[0])
		}
		return err
	}
	for i, record := range records {
		record.Offset = sent[i].Offset
	}
	return nil
}

func outgoing(topic string, record *scenario.Record) *sarama.ProducerMessage {
	headers := make([]sarama.RecordHeader, len(record.Headers))
	for i, header := range record.Headers {
		headers[i] = sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value}
	}
	return &sarama.ProducerMessage{
		Topic:     topic,
		Partition: record.Partition,
		Timestamp: time.UnixMilli(record.TimestampMs),
		Key:       encoder(record.Key),
		Value:     encoder(record.Value),
		Headers:   headers,
	}
}

// encoder gives null for null: an encoder of no bytes is empty.
func encoder(bytes []byte) sarama.Encoder {
	if bytes == nil {
		return nil
	}
	return sarama.ByteEncoder(bytes)
}

func incoming(message *sarama.ConsumerMessage) *scenario.Record {
	headers := make([]scenario.Header, len(message.Headers))
	for i, header := range message.Headers {
		headers[i] = scenario.Header{Key: string(header.Key), Value: header.Value}
	}
	return &scenario.Record{
		Partition:   message.Partition,
		Offset:      message.Offset,
		TimestampMs: message.Timestamp.UnixMilli(),
		Key:         message.Key,
		Value:       message.Value,
		Headers:     headers,
	}
}

// reader joins the channels of partition consumers to one.
type reader struct {
	sarama.Consumer
	topic    string
	current  map[int32]sarama.PartitionConsumer
	arrivals chan arrival
	closed   chan struct{}
}

type arrival struct {
	from   sarama.PartitionConsumer
	record *scenario.Record
	err    error
}

func (c client) Reader(topic string, starts map[int32]int64, config scenario.ReaderConfig) (scenario.Reader, error) {
	settings := newConfig()
	settings.Consumer.MaxWaitTime = config.MaxWait
	settings.Consumer.Return.Errors = true
	if config.Committed {
		settings.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	consumer, err := sarama.NewConsumer(c.addresses(), settings)
	if err != nil {
		return nil, err
	}
	r := &reader{
		Consumer: consumer,
		topic:    topic,
		current:  make(map[int32]sarama.PartitionConsumer),
		arrivals: make(chan arrival),
		closed:   make(chan struct{}),
	}
	for partition, offset := range starts {
		if err := r.start(partition, offset); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// start consumes from an offset, Earliest or Latest; sarama has the protocol's numbers for those, too.
func (r *reader) start(partition int32, offset int64) error {
	consumer, err := r.ConsumePartition(r.topic, partition, offset)
	if err != nil {
		return err
	}
	r.current[partition] = consumer
	go func() {
		for message := range consumer.Messages() {
			r.arrive(arrival{from: consumer, record: incoming(message)})
		}
	}()
	go func() {
		for err := range consumer.Errors() {
			r.arrive(arrival{from: consumer, err: err})
		}
	}()
	return nil
}

func (r *reader) arrive(what arrival) {
	select {
	case r.arrivals <- what:
	case <-r.closed:
	}
}

func (r *reader) Poll(ctx context.Context) ([]*scenario.Record, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case got := <-r.arrivals:
			if got.err != nil {
				return nil, got.err
			}
			// What a consumer before the last Seek had fetched is dropped.
			if got.from == r.current[got.record.Partition] {
				return []*scenario.Record{got.record}, nil
			}
		}
	}
}

func (r *reader) Seek(partition int32, offset int64) error {
	before := r.current[partition]
	before.AsyncClose()
	// sarama consumes a partition once at a time; the channel closes when it has let go.
	for range before.Errors() {
	}
	return r.start(partition, offset)
}

func (r *reader) Close() {
	close(r.closed)
	for _, consumer := range r.current {
		consumer.AsyncClose()
	}
	_ = r.Consumer.Close()
}
