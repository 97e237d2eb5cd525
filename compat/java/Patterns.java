import java.lang.reflect.Method;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/** A subscription to a pattern, which the broker reads where the client can leave it to it. */
final class Patterns {
    private static final String BY_BROKER = "org.apache.kafka.clients.consumer.SubscriptionPattern";

    private Patterns() {}

    /** Whether this release of the client has the consumer protocol as more than a preview. */
    static boolean areReadByBrokers() {
        try {
            Class.forName(BY_BROKER);
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    static void regex(Broker broker) throws Exception {
        String pattern = broker.name("match") + "-.*";
        var journal = new Journal();
        var producer = broker.producer(Map.of());
        String first = broker.topic("match-first", 2);
        broker.topic("other", 1);
        var settings = Map.of(
            "group.id", broker.name("group"),
            "group.protocol", areReadByBrokers() ? "consumer" : "classic",
            "metadata.max.age.ms", 500);
        var member = new Member("member", broker.consumer(settings), journal,
            (consumer, listener) -> subscribe(consumer, pattern, listener));
        journal.awaitShares(2, member);
        String later = broker.topic("match-later", 1);
        journal.awaitShares(3, member);
        for (String topic : List.of(first, later)) {
            var records = new Records(producer);
            records.spread(topic, 1, 10);
            var partition = new TopicPartition(topic, 0);
            Check.await("records of " + topic, () -> journal.delivered(partition).size() >= records.count());
            Check.equal("delivered in " + partition, records.values(partition), journal.delivered(partition));
        }
        member.close();
        producer.close();
    }

    /** By reflection: 3.9 is compiled from the same source and has no such class. */
    private static void subscribe(KafkaConsumer<String, String> consumer, String pattern, ConsumerRebalanceListener listener) {
        if (!areReadByBrokers()) {
            consumer.subscribe(Pattern.compile(pattern), listener);
            return;
        }
        try {
            Class<?> type = Class.forName(BY_BROKER);
            Method subscribe = KafkaConsumer.class.getMethod("subscribe", type, ConsumerRebalanceListener.class);
            subscribe.invoke(consumer, type.getConstructor(String.class).newInstance(pattern), listener);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
