// Package franz runs the scenarios with franz-go: kgo for records and groups, kadm for administration.
package franz

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ottla/compat/scenario"
)

const Module = "github.com/twmb/franz-go"

// patience ends a production that is not acknowledged; kgo itself would go on for ever.
const patience = 60 * time.Second

var codecs = map[string]kgo.CompressionCodec{
	"":       kgo.NoCompression(),
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

type client struct{ bootstrap string }

func New(bootstrap string) scenario.Client { return client{bootstrap} }

func (c client) connect(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(c.bootstrap))...)
}

func (client) Code(err error) (int16, bool) {
	if refusal, ok := errors.AsType[*kerr.Error](err); ok {
		return refusal.Code, true
	}
	return 0, false
}

func (c client) Admin() (scenario.Admin, error) {
	connection, err := c.connect()
	if err != nil {
		return nil, err
	}
	return admin{kadm.NewClient(connection)}, nil
}

type producer struct{ *kgo.Client }

func (c client) Producer(config scenario.ProducerConfig) (scenario.Producer, error) {
	options := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[config.Codec]),
	}
	switch config.Acks {
	case 0:
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case 1:
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	default: // all; idempotent is what franz-go is by default
		if !config.Idempotent {
			options = append(options, kgo.DisableIdempotentWrite())
		}
	}
	if config.MaxMessageBytes > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(int32(config.MaxMessageBytes)))
	}
	connection, err := c.connect(options...)
	if err != nil {
		return nil, err
	}
	return producer{connection}, nil
}

func (p producer) Produce(topic string, records []*scenario.Record) error {
	sent := make([]*kgo.Record, len(records))
	for i, record := range records {
		sent[i] = outgoing(topic, record)
	}
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	if err := p.ProduceSync(ctx, sent...).FirstErr(); err != nil {
		return err
	}
	for i, record := range records {
		record.Offset = sent[i].Offset
	}
	return nil
}

func outgoing(topic string, record *scenario.Record) *kgo.Record {
	headers := make([]kgo.RecordHeader, len(record.Headers))
	for i, header := range record.Headers {
		headers[i] = kgo.RecordHeader(header)
	}
	return &kgo.Record{
		Topic:     topic,
		Partition: record.Partition,
		Timestamp: time.UnixMilli(record.TimestampMs),
		Key:       record.Key,
		Value:     record.Value,
		Headers:   headers,
	}
}

func incoming(record *kgo.Record) *scenario.Record {
	headers := make([]scenario.Header, len(record.Headers))
	for i, header := range record.Headers {
		headers[i] = scenario.Header(header)
	}
	return &scenario.Record{
		Partition:   record.Partition,
		Offset:      record.Offset,
		TimestampMs: record.Timestamp.UnixMilli(),
		Key:         record.Key,
		Value:       record.Value,
		Headers:     headers,
	}
}

type reader struct {
	*kgo.Client
	topic string
}

func (c client) Reader(topic string, starts map[int32]int64, config scenario.ReaderConfig) (scenario.Reader, error) {
	offsets := make(map[int32]kgo.Offset)
	for partition, start := range starts {
		offsets[partition] = at(start)
	}
	isolation := kgo.ReadUncommitted()
	if config.Committed {
		isolation = kgo.ReadCommitted()
	}
	connection, err := c.connect(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}),
		kgo.FetchMaxWait(config.MaxWait),
		kgo.FetchIsolationLevel(isolation),
	)
	if err != nil {
		return nil, err
	}
	return reader{connection, topic}, nil
}

// at says an offset, Earliest or Latest; kgo has the protocol's numbers for those, too.
func at(offset int64) kgo.Offset { return kgo.NewOffset().At(offset) }

func (r reader) Poll(ctx context.Context) ([]*scenario.Record, error) {
	for {
		fetches := r.PollFetches(ctx)
		var records []*scenario.Record
		fetches.EachRecord(func(record *kgo.Record) { records = append(records, incoming(record)) })
		if len(records) > 0 {
			return records, nil
		}
		if err := fetches.Err(); err != nil {
			return nil, err
		}
	}
}

// Seek consumes the partition anew: SetOffsets knows neither beginning nor end.
func (r reader) Seek(partition int32, offset int64) error {
	r.RemoveConsumePartitions(map[string][]int32{r.topic: {partition}})
	r.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: {partition: at(offset)}})
	return nil
}

func unexpected(what string) error { return fmt.Errorf("the answer lacks %s", what) }
