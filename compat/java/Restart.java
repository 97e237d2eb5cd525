import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Records are produced and read by a group while the broker restarts. */
final class Restart {
    private static final int PARTITIONS = 4;
    private static final int ENOUGH = 500;
    /** With linger.ms this bounds the load: some thousand records a second. */
    private static final int UNACKNOWLEDGED_MAX = 50;

    private final Broker broker;
    private final String topic;
    private final Journal journal = new Journal();
    private final Semaphore window = new Semaphore(UNACKNOWLEDGED_MAX);
    private final AtomicInteger acknowledged = new AtomicInteger();
    private final Map<TopicPartition, ConcurrentSkipListMap<Long, String>> values = new ConcurrentHashMap<>();
    private int sent;

    Restart(Broker broker) throws Exception {
        this.broker = broker;
        this.topic = broker.topic("records", PARTITIONS);
    }

    void run() throws Exception {
        Member[] members = {member("first"), member("second")};
        journal.awaitShares(PARTITIONS / members.length, members);
        // One request at a time: Apache Kafka knows only the last batch of a producer again after a clean restart.
        var settings = Map.of("linger.ms", 10, "max.in.flight.requests.per.connection", 1);
        try (var producer = broker.producer(settings)) {
            produce(producer, "a load", () -> acknowledged.get() >= ENOUGH && journal.delivered() >= ENOUGH);
            double closed = closedConnections(producer);
            System.out.println("restart");
            produce(producer, "the loss of the connection", () -> closedConnections(producer) > closed);
            int before = acknowledged.get();
            produce(producer, "acknowledgements after it", () -> acknowledged.get() >= before + ENOUGH);
        }
        Check.equal("records without an answer", UNACKNOWLEDGED_MAX, window.availablePermits());
        Check.await("what is acknowledged", () -> {
            journal.hasNoViolation();
            return values.entrySet().stream().allMatch(e -> journal.delivered(e.getKey()).size() > e.getValue().lastKey());
        });
        for (Member member : members) {
            member.close();
        }
        for (TopicPartition partition : Broker.partitions(topic, PARTITIONS)) {
            isDelivered(partition);
        }
    }

    private Member member(String name) {
        return new Member(name, broker.consumer(Map.of("group.id", broker.name("group"))), journal, topic);
    }

    private void produce(KafkaProducer<String, String> producer, String until, Check.Condition condition)
            throws Exception {
        Check.await(until, () -> {
            journal.hasNoViolation();
            for (int i = 0; i < UNACKNOWLEDGED_MAX && window.tryAcquire(1, TimeUnit.SECONDS); i++) {
                send(producer);
            }
            return condition.holds();
        });
    }

    private void send(KafkaProducer<String, String> producer) {
        String value = "value-" + sent;
        producer.send(new ProducerRecord<>(topic, sent % PARTITIONS, "key", value), (answer, failure) -> {
            if (failure == null) {
                values.computeIfAbsent(new TopicPartition(answer.topic(), answer.partition()),
                    p -> new ConcurrentSkipListMap<>()).put(answer.offset(), value);
                acknowledged.incrementAndGet();
            } else {
                System.err.println(value + " is not acknowledged: " + failure);
            }
            window.release();
        });
        sent++;
    }

    private static double closedConnections(KafkaProducer<String, String> producer) {
        return producer.metrics().entrySet().stream()
            .filter(metric -> metric.getKey().name().equals("connection-close-total"))
            .mapToDouble(metric -> (Double) metric.getValue().metricValue()).sum();
    }

    /** Each acknowledged record where it was acknowledged, and no record at two places. */
    private void isDelivered(TopicPartition partition) {
        List<String> delivered = journal.delivered(partition);
        values.get(partition).forEach((offset, value) ->
            Check.equal("value of " + partition + " at " + offset, value, delivered.get(offset.intValue())));
        var places = new TreeMap<String, Integer>();
        for (int offset = 0; offset < delivered.size(); offset++) {
            Integer other = places.put(delivered.get(offset), offset);
            Check.that(delivered.get(offset) + " is at " + other + " and " + offset, other == null);
        }
    }
}
