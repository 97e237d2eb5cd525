import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;

/** A group transforms records with transactions that also commit its offsets. */
final class ExactlyOnce {
    private static final int PARTITIONS = 2;
    private static final int RECORDS = 300;
    private static final int AT_ONCE = 50;

    private final Broker broker;
    private final String protocol;
    private final List<TopicPartition> inputs;
    private final List<TopicPartition> outputs;
    private final Map<TopicPartition, OffsetAndMetadata> committed = new HashMap<>();
    private int aborted;

    ExactlyOnce(Broker broker, String protocol) throws Exception {
        this.broker = broker;
        this.protocol = protocol;
        this.inputs = Broker.partitions(broker.topic("input", PARTITIONS), PARTITIONS);
        this.outputs = Broker.partitions(broker.topic("output", PARTITIONS), PARTITIONS);
    }

    void run() throws Exception {
        try (var producer = broker.producer(Map.of())) {
            new Records(producer).spread(inputs.get(0).topic(), PARTITIONS, RECORDS);
        }
        ConsumerGroupMetadata former;
        try (var consumer = member(); var producer = Transactions.producer(broker, "writer", Map.of())) {
            transform(consumer, producer, true);
            transform(consumer, producer, true);
            transform(consumer, producer, false);
            former = consumer.groupMetadata();
        }
        try (var consumer = member(); var producer = Transactions.producer(broker, "writer", Map.of())) {
            producer.beginTransaction();
            Check.fails("a commit of one that has left", CommitFailedException.class, () -> {
                producer.sendOffsetsToTransaction(Map.of(inputs.get(0), new OffsetAndMetadata(RECORDS)), former);
                return "";
            });
            producer.abortTransaction();
            while (committed.values().stream().mapToLong(OffsetAndMetadata::offset).sum() < RECORDS) {
                transform(consumer, producer, true);
            }
        }
        areTransformed();
    }

    private KafkaConsumer<String, String> member() {
        KafkaConsumer<String, String> consumer = broker.consumer(Map.of("group.id", broker.name("group"),
            "group.protocol", protocol, "isolation.level", "read_committed", "max.poll.records", AT_ONCE));
        consumer.subscribe(List.of(inputs.get(0).topic()));
        return consumer;
    }

    /** The next records, which begin at what was committed: one transaction. */
    private void transform(KafkaConsumer<String, String> consumer, KafkaProducer<String, String> producer,
            boolean commits) throws Exception {
        var records = new ArrayList<ConsumerRecord<String, String>>();
        Check.await("records", () -> {
            consumer.poll(Broker.POLL).forEach(records::add);
            return !records.isEmpty();
        });
        producer.beginTransaction();
        var offsets = new HashMap<>(committed);
        for (ConsumerRecord<String, String> record : records) {
            TopicPartition input = inputs.get(record.partition());
            var next = new OffsetAndMetadata(record.offset() + 1, record.leaderEpoch(), "transformed");
            OffsetAndMetadata before = offsets.put(input, next);
            Check.equal("what is read of " + input, before == null ? 0 : before.offset(), record.offset());
            String output = outputs.get(0).topic();
            producer.send(new ProducerRecord<>(output, record.partition(), record.key(), transformed(record.value())));
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        if (commits) {
            producer.commitTransaction();
            committed.putAll(offsets);
            areCommitted();
        } else {
            producer.flush();
            areNotCommittedYet();
            producer.abortTransaction();
            aborted += records.size();
        }
    }

    private static String transformed(String value) {
        return "transformed " + value;
    }

    private void areNotCommittedYet() throws Exception {
        Check.equal("listed", committed, listed());
        try (var other = broker.consumer(Map.of("group.id", broker.name("group")))) {
            Check.fails("offsets that an open transaction may change", TimeoutException.class,
                () -> other.committed(Set.copyOf(inputs), Duration.ofMillis(300)));
        }
    }

    private void areCommitted() throws Exception {
        try (var other = broker.consumer(Map.of("group.id", broker.name("group")))) {
            var all = new HashMap<TopicPartition, OffsetAndMetadata>();
            inputs.forEach(partition -> all.put(partition, committed.get(partition)));
            // This waits for transactions that have not reached the group's coordinator yet.
            Check.equal("committed", all, other.committed(Set.copyOf(inputs)));
        }
        Check.equal("listed", committed, listed());
    }

    private Map<TopicPartition, OffsetAndMetadata> listed() throws Exception {
        return broker.admin.listConsumerGroupOffsets(broker.name("group")).partitionsToOffsetAndMetadata().get();
    }

    private void areTransformed() throws Exception {
        var expected = broker.read(inputs, RECORDS);
        var read = new HashMap<TopicPartition, List<String>>();
        outputs.forEach(partition -> read.put(partition, new ArrayList<>()));
        try (var consumer = broker.consumer(Map.of("isolation.level", "read_committed"))) {
            consumer.assign(outputs);
            var ends = consumer.endOffsets(outputs);
            Check.await("the output", () -> {
                for (ConsumerRecord<String, String> record : consumer.poll(Broker.POLL)) {
                    read.get(outputs.get(record.partition())).add(record.value());
                }
                return outputs.stream().allMatch(partition -> consumer.position(partition) == ends.get(partition));
            });
        }
        for (int i = 0; i < PARTITIONS; i++) {
            Check.equal("transformed of " + i,
                expected.get(inputs.get(i)).stream().map(record -> transformed(record.value())).toList(),
                read.get(outputs.get(i)));
        }
        Check.that("records were aborted", aborted > 0);
    }
}
