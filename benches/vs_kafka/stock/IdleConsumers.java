import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;

import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Consumers that have nothing to read, each with its own group and thread: {@code IdleConsumers BOOTSTRAP TOPIC COUNT}.
 *
 * <p>Prints a line when all have a position at the end of the topic, and ends with its input.
 */
public final class IdleConsumers {
    private static final Duration POLL = Duration.ofSeconds(1);

    public static void main(String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[2]);
        CountDownLatch waiting = new CountDownLatch(count);
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            Thread thread = new Thread(() -> consume(arguments[0], arguments[1], waiting));
            thread.setDaemon(true);
            thread.start();
            threads.add(thread);
        }
        waiting.await();
        System.out.println("settled");
        while (System.in.read() >= 0) {
            continue;
        }
        // To leave all groups takes longer than the measurement.
        Runtime.getRuntime().halt(0);
    }

    private static void consume(String bootstrap, String topic, CountDownLatch waiting) {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", bootstrap,
            "group.id", "idle-" + UUID.randomUUID(),
            "auto.offset.reset", "earliest");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            boolean isSettled = false;
            while (true) {
                consumer.poll(POLL);
                if (!isSettled && isAtEnd(consumer)) {
                    isSettled = true;
                    waiting.countDown();
                }
            }
        }
    }

    private static boolean isAtEnd(KafkaConsumer<byte[], byte[]> consumer) {
        for (TopicPartition partition : consumer.assignment()) {
            return consumer.currentLag(partition).orElse(-1) == 0;
        }
        return false;
    }
}
