import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** What the members of a group saw together: a partition has one owner, what is committed is not delivered again. */
final class Journal {
    private final Map<TopicPartition, Member> owners = new HashMap<>();
    /** The next offset of each owner, once it got one. */
    private final Map<TopicPartition, Long> positions = new HashMap<>();
    private final Map<TopicPartition, Long> committed = new HashMap<>();
    /** The values at the offsets from 0. */
    private final Map<TopicPartition, List<String>> delivered = new HashMap<>();
    private final List<String> violations = new ArrayList<>();

    synchronized void assigned(Member member, Collection<TopicPartition> partitions) {
        for (TopicPartition partition : partitions) {
            Member other = owners.putIfAbsent(partition, member);
            expect(other == null, partition + " is assigned to " + member + " while " + other + " owns it");
        }
    }

    synchronized void revoked(Member member, Collection<TopicPartition> partitions) {
        for (TopicPartition partition : partitions) {
            expect(owners.remove(partition, member), member + " gives up " + partition + " and does not own it");
            positions.remove(partition);
        }
    }

    synchronized void delivered(Member member, ConsumerRecord<String, String> record) {
        var partition = new TopicPartition(record.topic(), record.partition());
        String what = partition + " at " + record.offset() + " to " + member;
        List<String> values = delivered.computeIfAbsent(partition, p -> new ArrayList<>());
        expect(owners.get(partition) == member, what + ", which does not own it");
        expect(positions.getOrDefault(partition, record.offset()) == record.offset(), what + " out of order");
        expect(record.offset() >= committed.getOrDefault(partition, 0L), what + " although it is committed");
        expect(record.offset() <= values.size(), what + ", and nothing since " + values.size());
        positions.put(partition, record.offset() + 1);
        if (record.offset() == values.size()) {
            values.add(record.value());
        } else if (record.offset() < values.size()) {
            expect(values.get((int) record.offset()).equals(record.value()), what + " is another record than before");
        }
    }

    synchronized void committed(Map<TopicPartition, OffsetAndMetadata> offsets) {
        offsets.forEach((partition, offset) -> committed.put(partition, offset.offset()));
    }

    synchronized void failed(Member member, Exception failure) {
        violations.add(member + ": " + failure);
    }

    private void expect(boolean holds, String violation) {
        if (!holds) {
            violations.add(violation);
        }
    }

    synchronized Set<TopicPartition> owned(Member member) {
        return owners.entrySet().stream().filter(e -> e.getValue() == member).map(Map.Entry::getKey)
            .collect(Collectors.toCollection(HashSet::new));
    }

    synchronized List<String> delivered(TopicPartition partition) {
        return List.copyOf(delivered.getOrDefault(partition, List.of()));
    }

    synchronized int delivered() {
        return delivered.values().stream().mapToInt(List::size).sum();
    }

    synchronized void hasNoViolation() {
        Check.equal("violations", List.of(), violations);
    }

    /** Awaits that so many records are delivered; what went wrong meanwhile ends the wait. */
    void awaitDelivered(int count) throws Exception {
        Check.await("delivery of " + count + " records", () -> {
            hasNoViolation();
            return delivered() >= count;
        });
    }

    /** Awaits that each of the members owns so many partitions. */
    void awaitShares(int partitions, Member... members) throws Exception {
        Check.await(members.length + " members own " + partitions + " partitions each", () -> {
            hasNoViolation();
            return Stream.of(members).allMatch(member -> owned(member).size() == partitions);
        });
    }
}
