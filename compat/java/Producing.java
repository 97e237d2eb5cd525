import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** What is produced comes back as it was. */
final class Producing {
    private static final int PARTITIONS = 3;

    private Producing() {}

    static void codec(Broker broker, String codec) throws Exception {
        for (String acks : List.of("0", "1", "all")) {
            String topic = broker.topic("acks-" + acks, PARTITIONS);
            try (var producer = broker.producer(Map.of("acks", acks, "compression.type", codec))) {
                var records = new Records(producer);
                for (int i = 0; i < 1000; i++) {
                    String value = Records.text(i, i * 10_000 / 999);
                    records.send(new ProducerRecord<>(topic, i % PARTITIONS, "key-" + i, value));
                }
                producer.flush();
                records.areIn(broker, topic, PARTITIONS, !acks.equals("0"));
            }
        }
    }

    /** The connections are cut by whoever stands between; small batches make many requests to cut. */
    static void idempotent(Broker broker) throws Exception {
        String topic = broker.topic("records", PARTITIONS);
        Map<String, Object> settings = Map.of("enable.idempotence", true, "batch.size", 1000, "linger.ms", 0);
        try (var producer = broker.producer(settings)) {
            var records = new Records(producer);
            // With their own timestamps, as a repeated batch is answered with the largest one of its records.
            long start = System.currentTimeMillis();
            for (int i = 0; i < 2000; i++) {
                records.send(new ProducerRecord<>(topic, i % PARTITIONS, start + i, "key-" + i, Records.text(i, 100)));
            }
            producer.flush();
            records.areIn(broker, topic, PARTITIONS, true);
        }
    }

    static void headers(Broker broker) throws Exception {
        String topic = broker.topic("records", 1);
        byte[] bytes = {0, -1, 'x', 127, -128};
        List<List<Header>> headers = List.of(
            List.of(),
            List.of(header("one", bytes)),
            List.of(header("again", bytes), header("other", new byte[0]), header("again", utf8("2")),
                header("again", bytes)),
            List.of(header("null", null), header("", utf8("of an empty key")), header("schlüssel", utf8("größe"))));
        try (var producer = broker.producer(Map.of())) {
            var records = new Records(producer);
            long timestamp = System.currentTimeMillis() - 86_400_000;
            for (String key : Arrays.asList(null, "", "key")) {
                for (String value : Arrays.asList(null, "", "value")) {
                    for (List<Header> some : headers) {
                        records.send(new ProducerRecord<>(topic, 0, timestamp, key, value, some));
                        // Back and forth, as they need not grow.
                        timestamp += records.count() % 2 == 0 ? -1 : 1_234_567;
                    }
                }
            }
            producer.flush();
            records.areIn(broker, topic, 1, true);
        }
    }

    private static Header header(String key, byte[] value) {
        return new RecordHeader(key, value);
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void large(Broker broker) throws Exception {
        String topic = broker.topic("records", 1);
        try (var producer = broker.producer(Map.of("max.request.size", 4_000_000))) {
            var records = new Records(producer);
            records.send(new ProducerRecord<>(topic, 0, "large", Records.text(1, 900_000)));
            var refused = new ProducerRecord<>(topic, 0, "too large", Records.text(2, 1_500_000));
            Check.fails("a record of 1,500,000 bytes", RecordTooLargeException.class, () -> producer.send(refused).get());
            records.send(new ProducerRecord<>(topic, 0, "small", "after the refusal"));
            producer.flush();
            records.areIn(broker, topic, 1, true);
        }
    }
}
