package scenario

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Record is what is produced and what comes back. A nil Key, Value or header value is Kafka's null.
type Record struct {
	Partition   int32
	Offset      int64 // when acknowledged or consumed
	TimestampMs int64
	Key, Value  []byte
	Headers     []Header
}

type Header struct {
	Key   string
	Value []byte
}

// difference says what of a record came back otherwise; empty if nothing did. Offsets are not compared.
func (r *Record) difference(got *Record) string {
	switch {
	case r.Partition != got.Partition:
		return fmt.Sprintf("partition %d, not %d", got.Partition, r.Partition)
	case r.TimestampMs != got.TimestampMs:
		return fmt.Sprintf("timestamp %d, not %d", got.TimestampMs, r.TimestampMs)
	case !sameBytes(r.Key, got.Key):
		return fmt.Sprintf("key %s, not %s", show(got.Key), show(r.Key))
	case !sameBytes(r.Value, got.Value):
		return fmt.Sprintf("value %s, not %s", show(got.Value), show(r.Value))
	case !slices.EqualFunc(r.Headers, got.Headers, sameHeader):
		return fmt.Sprintf("headers %v, not %v", got.Headers, r.Headers)
	}
	return ""
}

func sameHeader(a, b Header) bool { return a.Key == b.Key && sameBytes(a.Value, b.Value) }

// sameBytes tells null from empty.
func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func show(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes %.40q", len(b), b)
}

// records makes count records over the partitions with values of 0 to maxBytes bytes, both included, that
// a codec can shrink. Their timestamps are a millisecond apart.
func records(count int, partitions int32, maxBytes int) []*Record {
	source := rand.New(rand.NewPCG(uint64(count), uint64(maxBytes)))
	firstMs := time.Now().UnixMilli() - int64(count)
	all := make([]*Record, count)
	for i := range all {
		all[i] = &Record{
			Partition:   int32(i) % partitions,
			TimestampMs: firstMs + int64(i),
			Key:         fmt.Appendf(nil, "key-%d", i),
			Value:       text(source, i*maxBytes/max(count-1, 1)),
		}
	}
	return all
}

func text(source *rand.Rand, sizeBytes int) []byte {
	value := make([]byte, sizeBytes)
	for i := range value {
		value[i] = "abcdefgh"[source.IntN(8)]
	}
	return value
}
