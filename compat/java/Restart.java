import java.util.List;
import java.util.Map;
import java.util.Set;
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
    private final KafkaProducer<String, String> producer;
    private int sent;

    Restart(Broker broker) throws Exception {
        this.broker = broker;
        this.topic = broker.topic("records", PARTITIONS);
        // One request at a time: Apache Kafka knows only the last batch of a producer again after a clean restart.
        var settings = Map.of("linger.ms", 10, "max.in.flight.requests.per.connection", 1);
        this.producer = broker.producer(settings);
    }

    void run() throws Exception {
        Member[] members = {member("first"), member("second")};
        journal.awaitShares(PARTITIONS / members.length, members);
        produceUntil("a load", () -> acknowledged.get() >= ENOUGH && journal.delivered() >= ENOUGH);
        double closed = closedConnections();
        System.out.println("restart");
        produceUntil("the loss of the connection", () -> closedConnections() > closed);
        int before = acknowledged.get();
        produceUntil("acknowledgements after it", () -> acknowledged.get() >= before + ENOUGH);
        producer.close();
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

    private void produceUntil(String what, Check.Condition condition) throws Exception {
        long deadline = System.nanoTime() + Check.TIMEOUT.toNanos();
        while (!condition.holds()) {
            journal.hasNoViolation();
            Check.that(what + " in time", System.nanoTime() < deadline);
            if (window.tryAcquire(100, TimeUnit.MILLISECONDS)) {
                send("value-" + sent++);
            }
        }
    }

    private void send(String value) {
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
    }

    private double closedConnections() {
        return producer.metrics().entrySet().stream()
            .filter(metric -> metric.getKey().name().equals("connection-close-total"))
            .mapToDouble(metric -> (Double) metric.getValue().metricValue()).sum();
    }

    /** Each acknowledged record where it was acknowledged, and no record at two places. */
    private void isDelivered(TopicPartition partition) {
        List<String> delivered = journal.delivered(partition);
        values.get(partition).forEach((offset, value) ->
            Check.equal("value of " + partition + " at " + offset, value, delivered.get(offset.intValue())));
        Check.equal("different values in " + partition, delivered.size(), Set.copyOf(delivered).size());
    }
}
