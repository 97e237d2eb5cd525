import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends the input and reads the results.
 *
 * <p>It says {@code ready} when the application may start, and sends one stage after the other: a line of standard input
 * allows the next, its end all. At times it says {@code progress SENT PRICED}, orders that were acknowledged and those
 * whose price was read; and {@code complete} when the results are as expected. When standard input has ended, which must
 * not be before the application has, it reads on to the end, compares again, and says how many results there are.
 */
final class Judge {
    private static final List<String> INPUTS = List.of("orders", "payments", "tiers");
    private static final int RECORDS_PER_S = 1_000;
    /** Sent at once. */
    private static final int CHUNK = 20;
    private static final Duration POLL = Duration.ofMillis(20);
    private static final long PROGRESS_NS = 100_000_000;
    /** Without a result: longer than the slowest restart takes. */
    private static final Duration SILENCE_MAX = Duration.ofSeconds(120);

    private final String name;
    private final Input input;
    private final Results expected;
    private final Results results;
    private final int stages;
    private volatile int allowed = 1;
    private volatile boolean ended;
    private volatile Exception failure;
    private volatile int acknowledged;
    private boolean complete;
    private long progressNs = System.nanoTime();
    private long resultNs = System.nanoTime();

    private final Admin admin;
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;

    Judge(String bootstrap, String name, Input input, int stages) {
        this.name = name;
        this.input = input;
        this.expected = Expected.of(input);
        this.results = new Results(input.beginMs);
        this.stages = stages;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        this.consumer = new KafkaConsumer<>(
            Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed", "group.protocol", "classic"),
            new StringDeserializer(), new StringDeserializer());
        // One request at a time: Apache Kafka knows only the last batch of a producer again after a clean restart.
        this.producer = new KafkaProducer<>(
            Map.of("bootstrap.servers", bootstrap, "max.in.flight.requests.per.connection", 1, "max.block.ms", 120_000),
            new StringSerializer(), new StringSerializer());
    }

    void run() throws Exception {
        createTopics();
        consumer.assign(partitions(Results.topics()));
        consumer.seekToBeginning(consumer.assignment());
        // All tiers before the first order, or an order might be priced with an old one.
        input.tiers.forEach(this::send);
        producer.flush();
        var orders = new Thread(this::readOrders, "orders");
        orders.setDaemon(true);
        orders.start();
        System.out.println("ready");
        sendEvents();
        while (!ended) {
            step();
        }
        readToTheEnd();
        isSentOnce();
        isSettled();
        System.out.println("streams: " + input.events.size() + " records: " + results);
    }

    private void createTopics() throws Exception {
        var topics = new TreeSet<>(Results.topics());
        topics.addAll(INPUTS);
        admin.createTopics(topics.stream().map(topic ->
            new NewTopic(name + "-" + topic, Optional.of(Input.PARTITIONS), Optional.empty())).toList()).all().get();
    }

    private void readOrders() {
        try {
            for (int c = System.in.read(); c >= 0; c = System.in.read()) {
                allowed += c == '\n' ? 1 : 0;
            }
        } catch (Exception e) {
            failure = e;
        }
        allowed = stages;
        ended = true;
    }

    private void sendEvents() {
        int count = input.events.size();
        for (int begin = 0; begin < count; begin += CHUNK) {
            long dueNs = System.nanoTime() + CHUNK * 1_000_000_000L / RECORDS_PER_S;
            while (System.nanoTime() < dueNs || begin >= (long) count * allowed / stages) {
                step();
            }
            input.events.subList(begin, Math.min(begin + CHUNK, count)).forEach(this::send);
        }
    }

    private void send(Input.Event event) {
        var record = new ProducerRecord<>(name + "-" + event.topic(), event.partition(), event.timeMs(), event.customer(),
            event.value());
        producer.send(record, (answer, e) -> {
            failure = e == null ? failure : e;
            acknowledged += event.topic().equals("orders") ? 1 : 0;
        });
    }

    /** Reads what there is, and says how far it is. */
    private void step() {
        for (var record : consumer.poll(POLL)) {
            results.add(record.topic().substring(name.length() + 1), record.key(), record.value(), record.timestamp());
            resultNs = System.nanoTime();
        }
        if (failure != null) {
            throw new AssertionError("the input cannot be sent", failure);
        }
        if (System.nanoTime() - progressNs > PROGRESS_NS) {
            progressNs = System.nanoTime();
            sayProgress();
        }
    }

    private void sayProgress() {
        int priced = results.size("priced");
        System.out.println("progress " + acknowledged + " " + priced);
        if (!complete && results.equal(expected)) {
            complete = true;
            System.out.println("complete");
        }
        if (complete || priced >= acknowledged && acknowledged < expected.size("priced")) {
            resultNs = progressNs;
        } else if (progressNs - resultNs > SILENCE_MAX.toNanos()) {
            throw new AssertionError("nothing came for " + SILENCE_MAX + "\n" + results.differences(expected));
        }
    }

    private void readToTheEnd() {
        var ends = consumer.endOffsets(consumer.assignment());
        while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
            step();
        }
        if (!results.equal(expected)) {
            throw new AssertionError("\n" + results.differences(expected));
        }
    }

    /** The input holds what was sent, and nothing twice. */
    private void isSentOnce() throws Exception {
        var ends = offsets(partitions(INPUTS), IsolationLevel.READ_UNCOMMITTED);
        long sum = ends.values().stream().mapToLong(Long::longValue).sum();
        long sent = input.events.size() + input.tiers.size();
        if (sum != sent) {
            throw new AssertionError(sent + " records were sent, and the input has " + ends);
        }
    }

    /** No transaction of a dead application is open. */
    private void isSettled() throws Exception {
        var all = partitions(Results.topics());
        var stable = offsets(all, IsolationLevel.READ_COMMITTED);
        var ends = offsets(all, IsolationLevel.READ_UNCOMMITTED);
        if (!stable.equals(ends)) {
            throw new AssertionError("stable to " + stable + ", but they end at " + ends);
        }
    }

    private Map<TopicPartition, Long> offsets(List<TopicPartition> partitions, IsolationLevel level) throws Exception {
        var latest = partitions.stream().collect(Collectors.toMap(p -> p, p -> OffsetSpec.latest()));
        var offsets = new HashMap<TopicPartition, Long>();
        admin.listOffsets(latest, new ListOffsetsOptions(level)).all().get()
            .forEach((partition, result) -> offsets.put(partition, result.offset()));
        return offsets;
    }

    private List<TopicPartition> partitions(Iterable<String> topics) {
        var partitions = new ArrayList<TopicPartition>();
        topics.forEach(topic -> IntStream.range(0, Input.PARTITIONS)
            .forEach(partition -> partitions.add(new TopicPartition(name + "-" + topic, partition))));
        return partitions;
    }
}
