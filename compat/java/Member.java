import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;

/** A member of a group on a thread of its own: it reads, commits what it read, and tells the journal. */
final class Member implements ConsumerRebalanceListener {
    /** What a member reads. */
    interface Subscription {
        void begin(KafkaConsumer<String, String> consumer, ConsumerRebalanceListener listener);
    }

    private final String name;
    private final KafkaConsumer<String, String> consumer;
    private final Journal journal;
    private final Thread thread;
    private volatile boolean leaving;
    /** What was delivered since the last commit: the offsets to commit next. */
    private final Map<TopicPartition, OffsetAndMetadata> uncommitted = new HashMap<>();
    private int rebalances;
    private final Set<TopicPartition> revoked = new HashSet<>();

    Member(String name, KafkaConsumer<String, String> consumer, Journal journal, String topic) {
        this(name, consumer, journal, (self, listener) -> self.subscribe(List.of(topic), listener));
    }

    Member(String name, KafkaConsumer<String, String> consumer, Journal journal, Subscription subscription) {
        this.name = name;
        this.consumer = consumer;
        this.journal = journal;
        this.thread = new Thread(() -> run(subscription), name);
        thread.start();
    }

    private void run(Subscription subscription) {
        try (consumer) {
            subscription.begin(consumer, this);
            while (!leaving) {
                for (var record : consumer.poll(Broker.POLL)) {
                    journal.delivered(this, record);
                    uncommitted.put(new TopicPartition(record.topic(), record.partition()),
                        new OffsetAndMetadata(record.offset() + 1, record.leaderEpoch(), ""));
                }
                commit();
            }
        } catch (RuntimeException e) {
            journal.failed(this, e);
        }
    }

    private void commit() {
        if (uncommitted.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(uncommitted);
            journal.committed(uncommitted);
            uncommitted.clear();
        } catch (RebalanceInProgressException | TimeoutException e) {
            // Committed next time, or delivered again to whoever owns the partition then.
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        seeRebalance(Set.of());
        journal.assigned(this, partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        seeRebalance(partitions);
        commit();
        uncommitted.keySet().removeAll(partitions);
        journal.revoked(this, partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        if (!leaving) {
            throw new IllegalStateException("the group has thrown out the member and its " + partitions);
        }
        // The client calls it so, too, when it is closed in the middle of a rebalance.
        uncommitted.keySet().removeAll(partitions);
        journal.revoked(this, partitions);
    }

    private synchronized void seeRebalance(Collection<TopicPartition> partitions) {
        rebalances++;
        revoked.addAll(partitions);
    }

    /** Partitions taken from the member so far, however often. */
    synchronized Set<TopicPartition> revoked() {
        return Set.copyOf(revoked);
    }

    synchronized void forgetRevoked() {
        revoked.clear();
    }

    /** Callbacks so far: one that does not change says that no rebalance was seen. */
    synchronized int rebalances() {
        return rebalances;
    }

    /** Answered heartbeats so far. */
    double heartbeats() {
        return consumer.metrics().entrySet().stream()
            .filter(metric -> metric.getKey().name().equals("heartbeat-total"))
            .mapToDouble(metric -> (Double) metric.getValue().metricValue()).sum();
    }

    /** Ends the member; one with a group.instance.id stays in the group until its session ends. */
    void close() throws InterruptedException {
        leaving = true;
        thread.join(Check.TIMEOUT.toMillis());
        Check.that(name + " ends", !thread.isAlive());
        journal.hasNoViolation();
    }

    @Override
    public String toString() {
        return name;
    }
}
