import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;

/** Members of a group come and go. */
final class Groups {
    private static final int PARTITIONS = 6;

    private final Broker broker;
    private final String topic;
    private final Journal journal = new Journal();
    private final KafkaProducer<String, String> producer;
    private final Records records;
    /** Of every member, unless it says otherwise. */
    private final Map<String, Object> protocol;

    Groups(Broker broker, String protocol) throws Exception {
        this.broker = broker;
        this.protocol = Map.of("group.protocol", protocol);
        this.topic = broker.topic("records", PARTITIONS);
        this.producer = broker.producer(Map.of());
        this.records = new Records(producer);
    }

    private Member member(String name, Map<String, Object> more) {
        var settings = new HashMap<String, Object>(protocol);
        settings.putAll(more);
        settings.put("group.id", broker.name("group"));
        return new Member(name, broker.consumer(settings), journal, topic);
    }

    void group() throws Exception {
        Member first = member("first", Map.of());
        Member second = member("second", Map.of());
        Member third = member("third", Map.of());
        journal.awaitShares(2, first, second, third);
        sendAroundAChange();
        second.close();
        journal.awaitShares(3, first, third);
        sendAroundAChange();
        Member fourth = member("fourth", Map.of());
        journal.awaitShares(2, first, third, fourth);
        records.spread(topic, PARTITIONS, 200);
        finish(first, third, fourth);
    }

    /** Half of the records is delivered, and half on its way when the next member comes or goes. */
    private void sendAroundAChange() throws Exception {
        records.spread(topic, PARTITIONS, 100);
        journal.awaitDelivered(records.count());
        records.spread(topic, PARTITIONS, 100);
    }

    private void finish(Member... members) throws Exception {
        journal.awaitDelivered(records.count());
        for (Member member : members) {
            member.close();
        }
        producer.close();
        for (TopicPartition partition : Broker.partitions(topic, PARTITIONS)) {
            Check.equal("delivered in " + partition, records.values(partition), journal.delivered(partition));
        }
    }

    /** Each in turn, so that the leader is among them. */
    void staticMembers() throws Exception {
        Member[] members = {instance(0), instance(1), instance(2)};
        journal.awaitShares(2, members);
        for (int i = 0; i < members.length; i++) {
            comeBack(i, members);
        }
        finish(members);
    }

    private Member instance(int number) {
        return member("member-" + number, Map.of("group.instance.id", "instance-" + number));
    }

    private void comeBack(int returning, Member[] members) throws Exception {
        Set<TopicPartition> owned = journal.owned(members[returning]);
        List<Integer> rebalances = rebalancesOfOthers(returning, members);
        members[returning].close();
        records.spread(topic, PARTITIONS, 60);
        members[returning] = instance(returning);
        journal.awaitDelivered(records.count());
        awaitHeartbeats(members);
        Check.equal("partitions of the member that came back", owned, journal.owned(members[returning]));
        Check.equal("rebalances seen by the others", rebalances, rebalancesOfOthers(returning, members));
    }

    private static List<Integer> rebalancesOfOthers(int returning, Member[] members) {
        return Stream.of(members).filter(member -> member != members[returning]).map(Member::rebalances).toList();
    }

    /** A rebalance is announced in the answer to a heartbeat, and joined before the next one. */
    private static void awaitHeartbeats(Member... members) throws Exception {
        double[] before = Stream.of(members).mapToDouble(Member::heartbeats).toArray();
        Check.await("two heartbeats of each member", () ->
            IntStream.range(0, members.length).allMatch(i -> members[i].heartbeats() >= before[i] + 2));
    }

    void cooperative() throws Exception {
        Map<String, Object> settings = Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName());
        Member first = member("first", settings);
        Member second = member("second", settings);
        journal.awaitShares(3, first, second);
        awaitHeartbeats(first, second);
        Map<Member, Set<TopicPartition>> before = Map.of(first, journal.owned(first), second, journal.owned(second));
        before.keySet().forEach(Member::forgetRevoked);
        sendAroundAChange();
        Member third = member("third", settings);
        journal.awaitShares(2, first, second, third);
        records.spread(topic, PARTITIONS, 100);
        journal.awaitDelivered(records.count());
        awaitHeartbeats(first, second, third);
        for (Member member : before.keySet()) {
            Set<TopicPartition> moved = new HashSet<>(before.get(member));
            moved.removeAll(journal.owned(member));
            Check.equal("partitions that moved from " + member, 1, moved.size());
            Check.equal("partitions revoked from " + member, moved, member.revoked());
        }
        finish(first, second, third);
    }

    /** A rolling change of two members from one protocol to the other, and back. */
    void migrate() throws Exception {
        Member[] members = {member("first", Map.of()), member("second", Map.of())};
        journal.awaitShares(3, members);
        for (String next : new String[] {"consumer", "classic"}) {
            for (int i = 0; i < members.length; i++) {
                sendAroundAChange();
                members[i].close();
                members[i] = member(next + "-" + i, Map.of("group.protocol", next));
                journal.awaitShares(3, members);
            }
        }
        records.spread(topic, PARTITIONS, 100);
        finish(members);
    }
}
