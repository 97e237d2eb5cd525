import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** The broker that is judged: clients of it, and names on it that are new in every run. */
final class Broker {
    static final Duration POLL = Duration.ofMillis(100);
    static final boolean IS_RELEASE_4 = AppInfoParser.getVersion().startsWith("4.");

    final Admin admin;
    private final String bootstrap;
    private final String prefix;

    Broker(String bootstrap, String scenario) {
        this.bootstrap = bootstrap;
        this.prefix = "compat-" + scenario + "-" + UUID.randomUUID().toString().substring(0, 8) + "-";
        this.admin = Admin.create(settings(Map.of()));
    }

    String name(String what) {
        return prefix + what;
    }

    /** A new topic whose partitions serve: Apache Kafka answers its creation a little earlier. */
    String topic(String what, int partitions) throws Exception {
        String topic = name(what);
        admin.createTopics(List.of(new NewTopic(topic, Optional.of(partitions), Optional.empty()))).all().get();
        var latest = partitions(topic, partitions).stream().collect(Collectors.toMap(p -> p, p -> OffsetSpec.latest()));
        Check.await("service of " + topic, () -> serves(latest));
        return topic;
    }

    private boolean serves(Map<TopicPartition, OffsetSpec> partitions) throws Exception {
        try {
            admin.listOffsets(partitions).all().get();
            return true;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                return false;
            }
            throw e;
        }
    }

    static List<TopicPartition> partitions(String topic, int partitions) {
        return IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(topic, p)).toList();
    }

    KafkaProducer<String, String> producer(Map<String, ?> more) {
        var settings = settings(more);
        settings.putIfAbsent("delivery.timeout.ms", (int) Check.TIMEOUT.toMillis());
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> consumer(Map<String, ?> more) {
        var settings = settings(more);
        settings.putIfAbsent("auto.offset.reset", "earliest");
        settings.putIfAbsent("enable.auto.commit", false);
        settings.putIfAbsent("group.protocol", "classic");
        if (settings.get("group.protocol").equals("classic")) {
            settings.putIfAbsent("heartbeat.interval.ms", 500);
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private Map<String, Object> settings(Map<String, ?> more) {
        var settings = new HashMap<String, Object>(more);
        settings.put("bootstrap.servers", bootstrap);
        return settings;
    }

    /** Everything in these partitions from their beginning: so many records and not one more. */
    Map<TopicPartition, List<ConsumerRecord<String, String>>> read(List<TopicPartition> partitions, int count)
            throws Exception {
        var read = new HashMap<TopicPartition, List<ConsumerRecord<String, String>>>();
        try (var consumer = consumer(Map.of())) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Check.await(count + " records", () -> {
                consumer.poll(POLL).forEach(record -> read.computeIfAbsent(
                    new TopicPartition(record.topic(), record.partition()), p -> new ArrayList<>()).add(record));
                return read.values().stream().mapToInt(List::size).sum() >= count;
            });
            for (var end : consumer.endOffsets(partitions).entrySet()) {
                Check.equal("the end of " + end.getKey(), end.getValue(), consumer.position(end.getKey()));
            }
        }
        Check.equal("records", count, read.values().stream().mapToInt(List::size).sum());
        return read;
    }
}
