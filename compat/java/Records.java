import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.TimestampType;

/** What one producer sends to a new topic, kept in order to be compared with what is read. */
final class Records {
    private record Sent(ProducerRecord<String, String> record, Future<RecordMetadata> answer) {}

    private final KafkaProducer<String, String> producer;
    private final List<Sent> sent = new ArrayList<>();

    Records(KafkaProducer<String, String> producer) {
        this.producer = producer;
    }

    void send(ProducerRecord<String, String> record) {
        sent.add(new Sent(record, producer.send(record)));
    }

    /** Small records, one after the other to the first partitions of a topic; keys and values are new each. */
    void spread(String topic, int partitions, int count) {
        for (int i = 0; i < count; i++) {
            int number = sent.size();
            send(new ProducerRecord<>(topic, number % partitions, "key-" + number, "value-" + number));
        }
        producer.flush();
    }

    int count() {
        return sent.size();
    }

    List<String> values(TopicPartition partition) {
        return in(partition).stream().map(sent -> sent.record().value()).toList();
    }

    /** The topic holds what was sent, whole and in order, where it was acknowledged if it was. */
    void areIn(Broker broker, String topic, int partitions, boolean acknowledged) throws Exception {
        var read = broker.read(Broker.partitions(topic, partitions), sent.size());
        for (TopicPartition partition : Broker.partitions(topic, partitions)) {
            List<Sent> expected = in(partition);
            var actual = read.getOrDefault(partition, List.of());
            Check.equal("records in " + partition, expected.size(), actual.size());
            for (int i = 0; i < actual.size(); i++) {
                compare(expected.get(i), actual.get(i), i, acknowledged);
            }
        }
    }

    private List<Sent> in(TopicPartition partition) {
        return sent.stream().filter(sent -> sent.record().partition() == partition.partition()).toList();
    }

    private static void compare(Sent sent, ConsumerRecord<String, String> read, long offset, boolean acknowledged)
            throws Exception {
        String where = read.topic() + "-" + read.partition() + " at " + offset;
        RecordMetadata answer = sent.answer().get();
        Long timestamp = sent.record().timestamp();
        Check.equal("offset of " + where, offset, read.offset());
        Check.equal("acknowledged offset of " + where, acknowledged ? offset : -1, answer.offset());
        Check.equal("key of " + where, sent.record().key(), read.key());
        Check.equal("value of " + where, sent.record().value(), read.value());
        Check.equal("headers of " + where, sent.record().headers(), read.headers());
        Check.equal("type of the timestamp of " + where, TimestampType.CREATE_TIME, read.timestampType());
        Check.equal("timestamp of " + where, timestamp == null ? answer.timestamp() : timestamp, read.timestamp());
    }

    /** Letters that compress, but not to nothing; the same for the same seed. */
    static String text(int seed, int sizeBytes) {
        return new Random(seed).ints(sizeBytes, 'a', 'i')
            .collect(StringBuilder::new, (text, letter) -> text.append((char) letter), StringBuilder::append).toString();
    }
}
