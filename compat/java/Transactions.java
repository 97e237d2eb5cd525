import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.InvalidTxnStateException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Transactions, and what readers see of them. */
final class Transactions {
    private static final int PARTITIONS = 3;
    /** Records of transactions that are committed and of some that are aborted, in turn. */
    private static final int[] SIZES = {1, 100, 100, 1, 0, 0, 37, 12, 64, 3, 99, 50, 0, 7, 2, 0, 20, 88};
    private static final Map<String, Object> COMMITTED = Map.of("isolation.level", "read_committed");
    private static final Map<String, Object> UNCOMMITTED = Map.of("isolation.level", "read_uncommitted");

    /** A record where it was acknowledged. */
    private record Placed(long offset, String value) {}

    private final Broker broker;
    private final List<TopicPartition> partitions;
    private final KafkaProducer<String, String> producer;
    private final Map<TopicPartition, List<Placed>> sent = new HashMap<>();
    private final Map<TopicPartition, List<Placed>> committed = new HashMap<>();
    private final Map<TopicPartition, Long> ends = new HashMap<>();
    private int number;

    private Transactions(Broker broker) throws Exception {
        this.broker = broker;
        this.partitions = Broker.partitions(broker.topic("records", PARTITIONS), PARTITIONS);
        this.producer = producer(broker, "writer", Map.of());
        for (TopicPartition partition : partitions) {
            sent.put(partition, new ArrayList<>());
            committed.put(partition, new ArrayList<>());
            ends.put(partition, 0L);
        }
    }

    /** One that may begin a transaction. */
    static KafkaProducer<String, String> producer(Broker broker, String id, Map<String, Object> more) {
        var settings = new HashMap<>(more);
        settings.put("transactional.id", broker.name(id));
        settings.putIfAbsent("linger.ms", 0);
        KafkaProducer<String, String> producer = broker.producer(settings);
        producer.initTransactions();
        return producer;
    }

    static void transactions(Broker broker) throws Exception {
        var transactions = new Transactions(broker);
        try (var producer = transactions.producer) {
            for (int i = 0; i < SIZES.length; i++) {
                transactions.transaction(SIZES[i], i % 2 == 0);
            }
            transactions.awaitEnds();
            Check.equal("everything", transactions.sent, transactions.read(UNCOMMITTED));
            Check.equal("committed", transactions.committed, transactions.read(COMMITTED));
            transactions.isHidden(true);
            transactions.isHidden(false);
        }
    }

    private void transaction(int size, boolean commits) throws Exception {
        producer.beginTransaction();
        var answers = new ArrayList<Future<RecordMetadata>>();
        int first = number;
        for (int i = 0; i < size; i++, number++) {
            TopicPartition partition = partitions.get(number % PARTITIONS);
            answers.add(producer.send(new ProducerRecord<>(
                partition.topic(), partition.partition(), "key", "value-" + number)));
        }
        producer.flush();
        for (int i = 0; i < size; i++) {
            RecordMetadata answer = answers.get(i).get();
            var partition = new TopicPartition(answer.topic(), answer.partition());
            var placed = new Placed(answer.offset(), "value-" + (first + i));
            Check.equal("offset of " + placed.value(), ends.put(partition, placed.offset() + 1), placed.offset());
            sent.get(partition).add(placed);
            if (commits) {
                committed.get(partition).add(placed);
            }
        }
        end(producer, commits);
        // The marker that ends the transaction takes an offset in each partition that had records.
        partitions.stream().limit(size).map(p -> partitions.get((first + partitions.indexOf(p)) % PARTITIONS))
            .forEach(partition -> ends.merge(partition, 1L, Long::sum));
    }

    private static void end(KafkaProducer<?, ?> producer, boolean commits) {
        if (commits) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    /** The end of a transaction is answered before its markers are written. */
    private void awaitEnds() throws Exception {
        for (TopicPartition partition : partitions) {
            Check.await("the end of " + partition, () ->
                end(broker, partition, IsolationLevel.READ_COMMITTED) == ends.get(partition));
        }
    }

    /** Everything from the beginning to the end, over the markers. */
    private Map<TopicPartition, List<Placed>> read(Map<String, Object> isolation) throws Exception {
        var read = new HashMap<TopicPartition, List<Placed>>();
        partitions.forEach(partition -> read.put(partition, new ArrayList<>()));
        try (var consumer = broker.consumer(isolation)) {
            consumer.assign(partitions);
            Check.equal("ends", ends, consumer.endOffsets(partitions));
            Check.await("the ends", () -> {
                for (ConsumerRecord<String, String> record : consumer.poll(Broker.POLL)) {
                    read.get(new TopicPartition(record.topic(), record.partition()))
                        .add(new Placed(record.offset(), record.value()));
                }
                return partitions.stream().allMatch(p -> consumer.position(p) == ends.get(p));
            });
        }
        return read;
    }

    /** What a reader at the end sees of a transaction before and after its end, and of a record that comes after it. */
    private void isHidden(boolean commits) throws Exception {
        TopicPartition partition = partitions.get(0);
        try (var outside = broker.producer(Map.of());
                var all = atTheEnd(broker, partition, UNCOMMITTED);
                var decided = atTheEnd(broker, partition, COMMITTED)) {
            long end = ends.get(partition);
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(partition.topic(), 0, "key", "inside")).get();
            outside.send(new ProducerRecord<>(partition.topic(), 0, "key", "outside")).get();
            reads(all, "inside", "outside");
            Check.equal("the end", end + 2, end(broker, partition, IsolationLevel.READ_UNCOMMITTED));
            Check.equal("the end of what is decided", end, end(broker, partition, IsolationLevel.READ_COMMITTED));
            Check.that("nothing is read of what is open", decided.poll(Broker.POLL.multipliedBy(3)).isEmpty());
            long before = System.nanoTime();
            end(producer, commits);
            reads(decided, commits ? new String[] {"inside", "outside"} : new String[] {"outside"});
            long passedMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before);
            Check.that("read " + passedMs + " ms after the end", passedMs < 5_000);
            ends.put(partition, end + 3);
            // Answers the fetches that wait, as close() would wait for them.
            outside.send(new ProducerRecord<>(partition.topic(), 0, "key", "last")).get();
            ends.put(partition, end + 4);
        }
    }

    /** As an administrator asks: a consumer's question would wait behind its fetch. */
    static long end(Broker broker, TopicPartition partition, IsolationLevel isolation) throws Exception {
        return broker.admin.listOffsets(Map.of(partition, OffsetSpec.latest()), new ListOffsetsOptions(isolation))
            .partitionResult(partition).get().offset();
    }

    /** Its fetches wait there for long. */
    static KafkaConsumer<String, String> atTheEnd(Broker broker, TopicPartition partition,
            Map<String, Object> isolation) throws Exception {
        var settings = new HashMap<>(isolation);
        settings.put("fetch.max.wait.ms", 20_000);
        KafkaConsumer<String, String> consumer = broker.consumer(settings);
        consumer.assign(List.of(partition));
        consumer.seekToEnd(List.of(partition));
        consumer.position(partition);
        return consumer;
    }

    /** Exactly these come next. */
    static void reads(KafkaConsumer<String, String> consumer, String... expected) throws Exception {
        var values = new ArrayList<String>();
        Check.await(expected.length + " records", () -> {
            consumer.poll(Broker.POLL).forEach(record -> values.add(record.value()));
            return values.size() >= expected.length;
        });
        Check.equal("records", List.of(expected), values);
    }

    static void fencing(Broker broker) throws Exception {
        var partition = new TopicPartition(broker.topic("records", 1), 0);
        for (boolean sends : new boolean[] {true, false}) {
            try (var reader = atTheEnd(broker, partition, COMMITTED);
                    var first = producer(broker, "writer", Map.of())) {
                transaction(first, partition, "of the first");
                reads(reader, "of the first");
                first.beginTransaction();
                first.send(new ProducerRecord<>(partition.topic(), 0, "key", "left open")).get();
                try (var second = producer(broker, "writer", Map.of())) {
                    transaction(second, partition, "of the second");
                    reads(reader, "of the second");
                    if (sends) {
                        Check.fails("a send of the first", InvalidProducerEpochException.class,
                            () -> first.send(new ProducerRecord<>(partition.topic(), 0, "key", "late")).get());
                    }
                    Check.fails("the end of the first", ProducerFencedException.class, () -> {
                        end(first, !sends);
                        return "";
                    });
                    transaction(second, partition, "later");
                    reads(reader, "later");
                    second.beginTransaction();
                    second.send(new ProducerRecord<>(partition.topic(), 0, "key", "last")).get();
                    second.commitTransaction();
                }
            }
        }
    }

    private static void transaction(KafkaProducer<String, String> producer, TopicPartition partition, String value) {
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(partition.topic(), partition.partition(), "key", value));
        producer.commitTransaction();
    }

    static void timeout(Broker broker) throws Exception {
        var partition = new TopicPartition(broker.topic("records", 1), 0);
        KafkaException refusal = Check.fails("a timeout beyond the maximum", KafkaException.class,
            () -> producer(broker, "patient", Map.of("transaction.timeout.ms", 900_001)));
        Check.that("it is refused as that", refusal.getMessage().contains("larger than the maximum"));
        try (var reader = atTheEnd(broker, partition, COMMITTED);
                var outside = broker.producer(Map.of());
                var slow = producer(broker, "slow", Map.of("transaction.timeout.ms", 1_000))) {
            slow.beginTransaction();
            slow.send(new ProducerRecord<>(partition.topic(), 0, "key", "too late")).get();
            outside.send(new ProducerRecord<>(partition.topic(), 0, "key", "outside")).get();
            reads(reader, "outside");
            KafkaException failure = Check.fails("the commit", KafkaException.class, () -> {
                slow.commitTransaction();
                return "";
            });
            // Apache Kafka takes it for the repetition of another end where every end takes a new epoch (KAFKA-20785).
            Check.that("it fails as fenced: " + failure, failure instanceof ProducerFencedException
                || Broker.IS_RELEASE_4 && failure instanceof InvalidTxnStateException);
            outside.send(new ProducerRecord<>(partition.topic(), 0, "key", "last")).get();
        }
    }
}
