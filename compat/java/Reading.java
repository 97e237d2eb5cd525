import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** A consumer chooses where it reads, and waits for what comes. */
final class Reading {
    private static final int RECORDS = 100;
    private static final long INTERVAL_MS = 1000;

    private Reading() {}

    /** Partition 0 has batches as they come, partition 1 a compressed one that holds all. */
    static void seek(Broker broker) throws Exception {
        String topic = broker.topic("records", 2);
        long start = System.currentTimeMillis() - 3_600_000;
        var zero = new TopicPartition(topic, 0);
        var one = new TopicPartition(topic, 1);
        fill(broker, zero, start, Map.of("batch.size", 500));
        fill(broker, one, start, Map.of("compression.type", "lz4", "linger.ms", 10_000, "batch.size", 1_000_000));
        try (var consumer = broker.consumer(Map.of())) {
            List<TopicPartition> partitions = List.of(zero, one);
            consumer.assign(partitions);
            Check.equal("beginning", Map.of(zero, 0L, one, 0L), consumer.beginningOffsets(partitions));
            Check.equal("end", Map.of(zero, (long) RECORDS, one, (long) RECORDS), consumer.endOffsets(partitions));
            for (TopicPartition partition : partitions) {
                times(consumer, partition, start);
                seek(consumer, partition);
            }
            seekToEnd(broker, consumer, zero);
        }
    }

    private static void fill(Broker broker, TopicPartition partition, long start, Map<String, Object> settings) {
        try (var producer = broker.producer(settings)) {
            for (int i = 0; i < RECORDS; i++) {
                producer.send(new ProducerRecord<>(
                    partition.topic(), partition.partition(), start + i * INTERVAL_MS, "key", "value-" + i));
            }
        }
    }

    private static void times(KafkaConsumer<String, String> consumer, TopicPartition partition, long start) {
        found(consumer, partition, start - 1, 0, start);
        found(consumer, partition, start, 0, start);
        found(consumer, partition, start + 41 * INTERVAL_MS + 1, 42, start);
        found(consumer, partition, start + 42 * INTERVAL_MS, 42, start);
        long last = start + (RECORDS - 1) * INTERVAL_MS;
        found(consumer, partition, last, RECORDS - 1, start);
        var none = new HashMap<TopicPartition, OffsetAndTimestamp>();
        none.put(partition, null);
        Check.equal("after the last record", none, consumer.offsetsForTimes(Map.of(partition, last + 1)));
    }

    private static void found(KafkaConsumer<String, String> consumer, TopicPartition partition, long time, long offset,
            long start) {
        OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, time)).get(partition);
        String what = partition + " from " + (time - start) + " ms";
        Check.that(what + " has a record", found != null);
        Check.equal("offset of " + what, offset, found.offset());
        Check.equal("timestamp of " + what, start + offset * INTERVAL_MS, found.timestamp());
    }

    private static void seek(KafkaConsumer<String, String> consumer, TopicPartition partition) throws Exception {
        consumer.assign(List.of(partition));
        consumer.seek(partition, 57);
        readsFrom(consumer, partition, 57);
        consumer.seek(partition, RECORDS - 1);
        readsFrom(consumer, partition, RECORDS - 1);
        consumer.seekToBeginning(List.of(partition));
        Check.equal("position at the beginning", 0L, consumer.position(partition));
        readsFrom(consumer, partition, 0);
        consumer.seekToEnd(List.of(partition));
        Check.equal("position at the end", (long) RECORDS, consumer.position(partition));
    }

    private static void readsFrom(KafkaConsumer<String, String> consumer, TopicPartition partition, int first)
            throws Exception {
        var records = new ArrayList<ConsumerRecord<String, String>>();
        Check.await("the records of " + partition + " from " + first, () -> {
            consumer.poll(Broker.POLL).forEach(records::add);
            return consumer.position(partition) == RECORDS;
        });
        Check.equal("records from " + first, RECORDS - first, records.size());
        for (int i = 0; i < records.size(); i++) {
            Check.equal("offset", (long) first + i, records.get(i).offset());
            Check.equal("value", "value-" + (first + i), records.get(i).value());
        }
    }

    private static void seekToEnd(Broker broker, KafkaConsumer<String, String> consumer, TopicPartition partition)
            throws Exception {
        consumer.assign(List.of(partition));
        consumer.seekToEnd(List.of(partition));
        Check.that("nothing is at the end", consumer.poll(Broker.POLL).isEmpty());
        try (var producer = broker.producer(Map.of())) {
            producer.send(new ProducerRecord<>(partition.topic(), partition.partition(), "key", "next")).get();
        }
        ConsumerRecord<String, String> record = next(consumer);
        Check.equal("offset at the end", (long) RECORDS, record.offset());
        Check.equal("value at the end", "next", record.value());
    }

    static void longPoll(Broker broker) throws Exception {
        String topic = broker.topic("records", 1);
        try (var producer = broker.producer(Map.of("linger.ms", 0));
                var consumer = broker.consumer(Map.of("fetch.max.wait.ms", 20_000))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            producer.send(new ProducerRecord<>(topic, 0, "key", "before")).get();
            Check.equal("what is there", "before", next(consumer).value());
            for (int i = 0; i < 20; i++) {
                // Its fetch waits at the broker when this poll ends without a record.
                Check.that("nothing yet", consumer.poll(Broker.POLL).isEmpty());
                long sent = System.nanoTime();
                producer.send(new ProducerRecord<>(topic, 0, "key", "value-" + i)).get();
                Check.equal("what is new", "value-" + i, next(consumer).value());
                long passedMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - sent);
                Check.that("record " + i + " came after " + passedMs + " ms", passedMs < 1000);
            }
            // Answers the fetch that waits, as close() would wait for it.
            producer.send(new ProducerRecord<>(topic, 0, "key", "last"));
        }
    }

    /** The only record that comes. */
    private static ConsumerRecord<String, String> next(KafkaConsumer<String, String> consumer) throws Exception {
        var records = new ArrayList<ConsumerRecord<String, String>>();
        Check.await("a record", () -> {
            consumer.poll(Broker.POLL).forEach(records::add);
            return !records.isEmpty();
        });
        Check.equal("records", 1, records.size());
        return records.get(0);
    }
}
