import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** Offsets are committed in every way, read back, and a new member goes on there. */
final class Commits {
    private static final int PARTITIONS = 2;
    private static final int RECORDS = 100;

    private final Broker broker;
    private final TopicPartition zero;
    private final TopicPartition one;

    private Commits(Broker broker, String topic) {
        this.broker = broker;
        this.zero = new TopicPartition(topic, 0);
        this.one = new TopicPartition(topic, 1);
    }

    static void commit(Broker broker) throws Exception {
        String topic = broker.topic("records", PARTITIONS);
        try (var producer = broker.producer(Map.of())) {
            var records = new Records(producer);
            records.spread(topic, PARTITIONS, PARTITIONS * RECORDS);
            var commits = new Commits(broker, topic);
            commits.asked();
            commits.withoutMembership();
            commits.automatic("interval", Map.of("auto.commit.interval.ms", 100), true);
            commits.automatic("close", Map.of("auto.commit.interval.ms", 600_000), false);
            records.spread(topic, PARTITIONS, PARTITIONS);
            commits.goesOn("interval", RECORDS, RECORDS);
            commits.goesOn("close", RECORDS, RECORDS);
        }
    }

    /** Synchronously and asynchronously by a member, over an older commit too. */
    private void asked() throws Exception {
        try (var member = subscribed("asked", Map.of())) {
            Check.await("the assignment", () -> {
                member.poll(Broker.POLL);
                return member.assignment().equals(Set.of(zero, one));
            });
            Map<TopicPartition, OffsetAndMetadata> nothing = new HashMap<>();
            nothing.put(zero, null);
            nothing.put(one, null);
            Check.equal("nothing committed", nothing, member.committed(Set.of(zero, one)));
            member.commitSync(Map.of(zero, committed(5, "old"), one, committed(7, "")));
            member.commitSync(Map.of(zero, committed(10, "größer")));
            areCommitted("asked", committed(10, "größer"), committed(7, ""));
            commitAsynchronously(member, Map.of(one, committed(20, "asynchronous")));
            areCommitted("asked", committed(10, "größer"), committed(20, "asynchronous"));
        }
        goesOn("asked", 10, 20);
    }

    private static void commitAsynchronously(KafkaConsumer<String, String> member,
            Map<TopicPartition, OffsetAndMetadata> offsets) throws Exception {
        var answer = new CompletableFuture<Map<TopicPartition, OffsetAndMetadata>>();
        member.commitAsync(offsets, (committed, failure) -> {
            if (failure == null) {
                answer.complete(committed);
            } else {
                answer.completeExceptionally(failure);
            }
        });
        Check.await("the answer to the commit", () -> {
            member.poll(Broker.POLL);
            return answer.isDone();
        });
        Check.equal("committed asynchronously", offsets, answer.get());
    }

    private void withoutMembership() throws Exception {
        try (var alone = broker.consumer(Map.of("group.id", broker.name("alone")))) {
            alone.assign(List.of(zero, one));
            alone.commitSync(Map.of(zero, committed(30, "alone"), one, committed(RECORDS - 1, "near the end")));
        }
        areCommitted("alone", committed(30, "alone"), committed(RECORDS - 1, "near the end"));
        goesOn("alone", 30, RECORDS - 1);
    }

    private void automatic(String group, Map<String, Object> interval, boolean awaited) throws Exception {
        var settings = new HashMap<>(interval);
        settings.put("enable.auto.commit", true);
        try (var member = subscribed(group, settings)) {
            Check.await("the end", () -> {
                member.poll(Broker.POLL);
                return member.assignment().size() == PARTITIONS
                    && member.position(zero) == RECORDS && member.position(one) == RECORDS;
            });
            if (awaited) {
                Check.await("the automatic commit", () -> {
                    member.poll(Broker.POLL);
                    return member.committed(Set.of(zero, one)).values().stream()
                        .allMatch(offset -> offset != null && offset.offset() == RECORDS);
                });
            }
        }
        areCommitted(group, committed(RECORDS, ""), committed(RECORDS, ""));
    }

    /** As another consumer of the group and as an administrator read them. */
    private void areCommitted(String group, OffsetAndMetadata ofZero, OffsetAndMetadata ofOne) throws Exception {
        var expected = Map.of(zero, ofZero, one, ofOne);
        try (var other = broker.consumer(Map.of("group.id", broker.name(group)))) {
            Check.equal("committed by " + group, expected, other.committed(Set.of(zero, one)));
        }
        var listed = broker.admin.listConsumerGroupOffsets(broker.name(group)).partitionsToOffsetAndMetadata().get();
        Check.equal("listed for " + group, expected, listed);
    }

    /** A new member gets these records first. */
    private void goesOn(String group, long offsetOfZero, long offsetOfOne) throws Exception {
        var first = new HashMap<TopicPartition, Long>();
        try (var member = subscribed(group, Map.of("auto.offset.reset", "none"))) {
            Check.await("records of both partitions", () -> {
                member.poll(Broker.POLL).forEach(record ->
                    first.putIfAbsent(new TopicPartition(record.topic(), record.partition()), record.offset()));
                return first.size() == PARTITIONS;
            });
        }
        Check.equal("first records of " + group, Map.of(zero, offsetOfZero, one, offsetOfOne), first);
    }

    private KafkaConsumer<String, String> subscribed(String group, Map<String, ?> more) {
        var settings = new HashMap<String, Object>(more);
        settings.put("group.id", broker.name(group));
        var consumer = broker.consumer(settings);
        consumer.subscribe(List.of(zero.topic()));
        return consumer;
    }

    /** With the epoch of a leader that never changed. */
    private static OffsetAndMetadata committed(long offset, String metadata) {
        return new OffsetAndMetadata(offset, Optional.of(0), metadata);
    }
}
