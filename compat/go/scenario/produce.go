package scenario

import (
	"fmt"
)

func produceWith(codec string) func(*run) {
	return func(r *run) {
		for _, acks := range []int16{0, 1, -1} {
			topic := r.topic(fmt.Sprintf("%s-acks%d", codec, acks), 3)
			all := records(1000, 3, 10_000)
			producer := r.producer(ProducerConfig{Acks: acks, Codec: codec})
			check(producer.Produce(topic, all), fmt.Sprintf("producing with acks %d", acks))
			if acks != 0 {
				acknowledgedInOrder(all)
			}
			r.comesBack(topic, 3, all)
		}
	}
}

// idempotent produces in portions, so that connections that a relay cuts have something in flight again and again.
func idempotent(r *run) {
	topic := r.topic("idempotent", 3)
	all := records(2000, 3, 1000)
	producer := r.producer(ProducerConfig{Acks: -1, Idempotent: true})
	const portion = 50
	for start := 0; start < len(all); start += portion {
		check(producer.Produce(topic, all[start:start+portion]), fmt.Sprintf("producing from record %d", start))
	}
	acknowledgedInOrder(all)
	r.comesBack(topic, 3, all)
}

func headers(r *run) {
	topic := r.topic("headers", 1)
	empty, text := []byte{}, []byte("text")
	all := []*Record{
		{Key: nil, Value: nil},
		{Key: empty, Value: empty},
		{Key: nil, Value: empty},
		{Key: text, Value: nil},
		{Key: empty, Value: text},
		{Value: text, Headers: []Header{{"one", []byte("1")}}},
		{Value: text, Headers: []Header{{"null", nil}, {"empty", empty}}},
		{Value: text, Headers: []Header{{"twice", []byte("first")}, {"other", text}, {"twice", []byte("second")}, {"twice", nil}}},
		{Value: text, Headers: []Header{{"", []byte("no key")}, {"bytes", []byte{0, 255, 128}}, {"näme", []byte("wört")}}},
	}
	for i, record := range all {
		record.TimestampMs = 1_700_000_000_001 + int64(i)*86_400_007
	}
	acknowledgedInOrder(r.produce(topic, all))
	r.comesBack(topic, 1, all)
}

func large(r *run) {
	topic := r.topic("large", 1)
	sized := func(bytes int) []*Record {
		all := records(2, 1, bytes)
		return all[1:] // the first one is empty
	}
	producer := r.producer(ProducerConfig{Acks: -1, MaxMessageBytes: 4_000_000})
	arrives := sized(900_000)
	check(producer.Produce(topic, arrives), "producing 900,000 bytes")
	r.refused(producer.Produce(topic, sized(1_500_000)), "producing 1,500,000 bytes", MessageTooLarge)
	acknowledgedInOrder(arrives)
	r.comesBack(topic, 1, arrives)
}
