import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerInterceptor;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * A member of the checked group on Apache Kafka's own client: the twin of ../member.rs, with the same options and the
 * same journal (../journal.rs says what its lines mean and when they are written). It leaves when standard input closes.
 */
public final class Member implements ConsumerRebalanceListener {
    private static final Duration POLL = Duration.ofMillis(50);
    private static final Duration READ_TIMEOUT = Duration.ofSeconds(2);
    private static final long COMMIT_INTERVAL_NS = 100_000_000;
    private static final long LEAVE_TIMEOUT_MS = 120_000;
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "RangeAssignor", "roundrobin", "RoundRobinAssignor", "sticky", "StickyAssignor",
        "cooperative-sticky", "CooperativeStickyAssignor");

    private static volatile boolean leaving;
    private static FileOutputStream journal;

    private final KafkaConsumer<byte[], String> consumer;
    private final boolean commitsItself;
    /** Delivered since the last commit: the offsets to commit next. */
    private final Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();

    private Member(KafkaConsumer<byte[], String> consumer, boolean commitsItself) {
        this.consumer = consumer;
        this.commitsItself = commitsItself;
    }

    public static void main(String[] args) throws IOException {
        Map<String, String> options = new TreeMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        journal = new FileOutputStream(options.get("--journal"), true);
        boolean commitsItself = options.get("--commit").equals("manual");
        leaveWhenInputCloses();
        try (var consumer = new KafkaConsumer<byte[], String>(settings(options, commitsItself))) {
            new Member(consumer, commitsItself).run(options.get("--topic"));
        } catch (KafkaException e) {
            append("error " + oneLine(e));
            throw e;
        }
    }

    private static Properties settings(Map<String, String> options, boolean commitsItself) {
        int session = Integer.parseInt(options.get("--session-ms"));
        String assignor = options.get("--assignor");
        var settings = new Properties();
        settings.put("bootstrap.servers", options.get("--bootstrap"));
        settings.put("group.id", options.get("--group"));
        if (options.get("--protocol").equals("consumer")) {
            settings.put("group.protocol", "consumer");
            settings.put("group.remote.assignor", assignor.equals("range") ? "range" : "uniform");
        } else {
            settings.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + ASSIGNORS.get(assignor));
            settings.put("session.timeout.ms", session);
            settings.put("heartbeat.interval.ms", Math.min(session / 6, 1_000));
        }
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", !commitsItself);
        settings.put("auto.commit.interval.ms", (int) (COMMIT_INTERVAL_NS / 1_000_000));
        settings.put("fetch.max.wait.ms", 100);
        settings.put("key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
        settings.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        if (!commitsItself) {
            settings.put("interceptor.classes", List.of(Confirmations.class));
        }
        return settings;
    }

    private void run(String topic) {
        consumer.subscribe(List.of(topic), this);
        long lastCommit = System.nanoTime();
        while (!leaving) {
            // What a poll gave counts as read with the next one, not before: the lines are written by then.
            ConsumerRecords<byte[], String> records = consumer.poll(POLL);
            for (ConsumerRecord<byte[], String> record : records) {
                append("delivered " + record.partition() + " " + record.offset() + " " + oneWord(record.value()));
                var partition = new TopicPartition(record.topic(), record.partition());
                positions.put(partition, new OffsetAndMetadata(record.offset() + 1));
            }
            if (System.nanoTime() - lastCommit >= COMMIT_INTERVAL_NS) {
                commit();
                lastCommit = System.nanoTime();
            }
        }
    }

    private void commit() {
        if (!commitsItself || positions.isEmpty()) {
            return;
        }
        long sent = System.nanoTime();
        try {
            consumer.commitSync(positions);
            append("committed " + sent + " " + System.nanoTime() + offsets(positions));
            positions.clear();
        } catch (KafkaException e) {
            append("note commit: " + oneLine(e));
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        append("assigned " + System.nanoTime() + numbers(partitions));
        long began = System.nanoTime();
        try {
            Map<TopicPartition, OffsetAndMetadata> read = consumer.committed(Set.copyOf(partitions), READ_TIMEOUT);
            if (!read.isEmpty()) {
                append("read " + began + " " + System.nanoTime() + offsets(read));
            }
        } catch (KafkaException e) {
            append("note read: " + oneLine(e));
        }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        commit();
        forget(partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        append("note the assignment is lost");
        forget(partitions);
    }

    private void forget(Collection<TopicPartition> partitions) {
        positions.keySet().removeAll(partitions);
        append("revoked " + System.nanoTime() + numbers(partitions));
    }

    /** What the client commits by itself. */
    public static final class Confirmations implements ConsumerInterceptor<byte[], String> {
        @Override
        public ConsumerRecords<byte[], String> onConsume(ConsumerRecords<byte[], String> records) {
            return records;
        }

        @Override
        public void onCommit(Map<TopicPartition, OffsetAndMetadata> offsets) {
            append("committed 0 " + System.nanoTime() + offsets(offsets));
        }

        @Override
        public void close() {}

        @Override
        public void configure(Map<String, ?> configs) {}
    }

    private static String offsets(Map<TopicPartition, OffsetAndMetadata> offsets) {
        return offsets.entrySet().stream()
            .map(e -> " " + e.getKey().partition() + ":" + (e.getValue() == null ? -1 : e.getValue().offset()))
            .collect(Collectors.joining());
    }

    private static String numbers(Collection<TopicPartition> partitions) {
        return partitions.stream().map(partition -> " " + partition.partition()).collect(Collectors.joining());
    }

    private static String oneLine(Exception e) {
        return e.toString().replaceAll("[\\r\\n]", " ");
    }

    private static String oneWord(String value) {
        return value == null || value.isEmpty() ? "?" : value.replaceAll("\\s", "?");
    }

    /** One line in one write, so that a killed process loses nothing but a torn last line. */
    private static void append(String line) {
        try {
            journal.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void leaveWhenInputCloses() {
        var watch = new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (IOException e) {
                // The input has ended all the same.
            }
            leaving = true;
            try {
                Thread.sleep(LEAVE_TIMEOUT_MS);
            } catch (InterruptedException e) {
                return;
            }
            Runtime.getRuntime().halt(3);
        });
        watch.setDaemon(true);
        watch.start();
    }
}
