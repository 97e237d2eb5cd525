import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * A worker of the checker's exactly-once workload on Apache Kafka's client: the twin of ../checker/eos/worker.rs, with
 * the same options and the same journal (../checker/eos/line.rs says what its lines mean).
 */
public final class Worker {
    private static final Duration POLL = Duration.ofMillis(50);
    private static final Duration TIMEOUT = Duration.ofSeconds(5);
    private static final long LEAVE_TIMEOUT_MS = 120_000;
    private static final int BATCH_MAX = 100;

    private static volatile boolean leaving;
    private static FileOutputStream journal;
    /** The number of the last one of this process. */
    private static long transaction;

    private final Map<String, String> options;
    private final Random random;
    private final int partitions;
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;
    /** Read, and in no transaction yet. */
    private final ArrayDeque<ConsumerRecord<String, String>> read = new ArrayDeque<>();

    private Worker(Map<String, String> options, Random random, KafkaConsumer<String, String> consumer,
            KafkaProducer<String, String> producer) {
        this.options = options;
        this.random = random;
        this.partitions = Integer.parseInt(options.get("--partitions"));
        this.consumer = consumer;
        this.producer = producer;
    }

    public static void main(String[] args) throws IOException {
        Map<String, String> options = new TreeMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
        journal = new FileOutputStream(options.get("--journal"), true);
        var random = new Random(Long.parseLong(options.get("--seed")));
        leaveWhenInputCloses();
        while (!leaving) {
            try (var consumer = new KafkaConsumer<String, String>(ofConsumer(options));
                    var producer = new KafkaProducer<String, String>(ofProducer(options))) {
                new Worker(options, random, consumer, producer).work();
            } catch (KafkaException e) {
                append("note given up: " + oneLine(e));
                if (isFenced(e)) {
                    append("fenced " + System.nanoTime());
                    return;
                }
                pause(500);
            }
        }
    }

    private static Properties common(Map<String, String> options) {
        var settings = new Properties();
        settings.put("bootstrap.servers", options.get("--bootstrap"));
        settings.put("request.timeout.ms", 4_000);
        settings.put("reconnect.backoff.max.ms", 1_000);
        return settings;
    }

    private static Properties ofConsumer(Map<String, String> options) {
        Properties settings = common(options);
        if (options.get("--protocol").equals("consumer")) {
            settings.put("group.protocol", "consumer");
        } else {
            int session = Integer.parseInt(options.get("--session-ms"));
            settings.put("session.timeout.ms", session);
            settings.put("heartbeat.interval.ms", session / 6);
        }
        settings.put("group.id", options.get("--group"));
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        settings.put("isolation.level", "read_committed");
        settings.put("max.poll.records", BATCH_MAX);
        settings.put("fetch.max.wait.ms", 100);
        settings.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        settings.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        return settings;
    }

    private static Properties ofProducer(Map<String, String> options) {
        Properties settings = common(options);
        settings.put("transactional.id", options.get("--transactional-id"));
        settings.put("transaction.timeout.ms", Integer.parseInt(options.get("--transaction-timeout-ms")));
        settings.put("delivery.timeout.ms", 12_000);
        settings.put("max.block.ms", TIMEOUT.toMillis());
        settings.put("linger.ms", 2);
        settings.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        settings.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        return settings;
    }

    private void work() {
        long began = System.nanoTime();
        retried("init", producer::initTransactions);
        append("ready " + began + " " + System.nanoTime());
        consumer.subscribe(List.of(options.get("--input")));
        while (!leaving) {
            if (read.isEmpty()) {
                // Partitions are taken away in here only, when nothing of theirs is left.
                consumer.poll(POLL).forEach(read::add);
            }
            List<ConsumerRecord<String, String>> batch = new ArrayList<>();
            int most = random.nextBoolean() ? 10 : BATCH_MAX;
            for (int left = 1 + random.nextInt(most); left > 0 && !read.isEmpty(); left--) {
                batch.add(read.remove());
            }
            if (!batch.isEmpty() && !commits(batch)) {
                rewind();
            }
        }
    }

    /** Whether the transaction committed; otherwise it aborted. An exception ends the clients. */
    private boolean commits(List<ConsumerRecord<String, String>> batch) {
        transaction++;
        append("begun " + transaction + " " + batch.size());
        try {
            if (attempt(batch)) {
                return true;
            }
        } catch (ProducerFencedException e) {
            throw e;
        } catch (KafkaException e) {
            append("note aborts " + transaction + ": " + oneLine(e));
        }
        retried("abort", producer::abortTransaction);
        append("aborted " + transaction);
        return false;
    }

    /** Up to the commit; false when it is to be aborted on purpose. */
    private boolean attempt(List<ConsumerRecord<String, String>> batch) {
        boolean aborts = random.nextInt(10) == 0;
        int last = aborts ? random.nextInt(batch.size()) : batch.size() - 1;
        int pauseAt = random.nextInt(4) == 0 ? random.nextInt(last + 1) : -1;
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        producer.beginTransaction();
        for (int position = 0; position <= last; position++) {
            var record = batch.get(position);
            send(record, position, batch.size());
            offsets.put(new TopicPartition(record.topic(), record.partition()),
                new OffsetAndMetadata(record.offset() + 1, record.leaderEpoch(), ""));
            if (position == pauseAt) {
                pause(random.nextInt(300));
            }
        }
        if (aborts && random.nextBoolean()) {
            // What is aborted must have been written.
            producer.flush();
            return false;
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        if (aborts) {
            producer.flush();
            return false;
        }
        long sent = System.nanoTime();
        append("asked " + sent + " " + transaction);
        retried("commit", producer::commitTransaction);
        long confirmed = System.nanoTime();
        append("done " + transaction);
        append("committed " + sent + " " + confirmed + offsets(offsets));
        return true;
    }

    private void send(ConsumerRecord<String, String> record, int position, int count) {
        String[] place = record.value().split("\\.");
        int partition = (int) ((Long.parseLong(place[1]) + Long.parseLong(place[2])) % partitions);
        String value = String.join(":", record.value(), options.get("--name"), Long.toString(transaction),
            Integer.toString(position), Integer.toString(count));
        long number = transaction;
        producer.send(new ProducerRecord<>(options.get("--output"), partition, record.key(), value), (placed, e) -> {
            if (e != null) {
                append("note " + number + " " + position + ": " + oneLine(e));
            } else if (placed.hasOffset()) {
                append("placed " + number + " " + position + " " + partition + " " + placed.offset());
            }
        });
    }

    /** Again while the client says that it may, or must, be tried again. */
    private static void retried(String what, Runnable ask) {
        while (true) {
            try {
                ask.run();
                return;
            } catch (TimeoutException e) {
                append("note " + what + " again: " + oneLine(e));
            }
        }
    }

    /** Back to what is committed, in all partitions. */
    private void rewind() {
        read.clear();
        retried("rewind", () -> {
            long began = System.nanoTime();
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment(), TIMEOUT);
            append("read " + began + " " + System.nanoTime() + offsets(committed));
            committed.forEach(this::seek);
        });
    }

    private void seek(TopicPartition partition, OffsetAndMetadata committed) {
        try {
            consumer.seek(partition, committed == null ? 0 : committed.offset());
        } catch (IllegalStateException e) {
            // With the consumer protocol a member that was thrown out loses its partitions at any time; whoever has
            // them next begins where the group stands.
            append("note gone " + partition);
        }
    }

    private static boolean isFenced(Throwable e) {
        return e != null && (e instanceof ProducerFencedException || isFenced(e.getCause()));
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static String offsets(Map<TopicPartition, OffsetAndMetadata> offsets) {
        return offsets.entrySet().stream()
            .map(e -> " " + e.getKey().partition() + ":" + (e.getValue() == null ? -1 : e.getValue().offset()))
            .collect(Collectors.joining());
    }

    private static String oneLine(Exception e) {
        String cause = e.getCause() == null ? "" : " <- " + e.getCause();
        return (e + cause).replaceAll("[\\r\\n]", " ");
    }

    /** One line in one write, so that a killed process loses nothing but a torn last line. */
    private static synchronized void append(String line) {
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
            pause(LEAVE_TIMEOUT_MS);
            Runtime.getRuntime().halt(3);
        });
        watch.setDaemon(true);
        watch.start();
    }
}
