import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.TopicPartition;

/** Records below an offset are deleted, and a consumer that wants them starts elsewhere. */
final class DeletedRecords {
    private final Broker broker;
    private final TopicPartition partition;
    private final Records records;

    private DeletedRecords(Broker broker, TopicPartition partition, Records records) {
        this.broker = broker;
        this.partition = partition;
        this.records = records;
    }

    static void deleteRecords(Broker broker) throws Exception {
        String topic = broker.topic("records", 1);
        try (var producer = broker.producer(Map.of())) {
            new DeletedRecords(broker, new TopicPartition(topic, 0), new Records(producer)).run();
        }
    }

    private void run() throws Exception {
        records.spread(partition.topic(), 1, 100);
        Check.equal("low watermark", 40L, deleteBefore(40));
        Check.equal("low watermark again", 40L, deleteBefore(20));
        Check.fails("deleting what is not there", org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
            () -> deleteBefore(101));
        startsAt(40);
        resetsToTheEnd();
        doesNotReset();
        Check.equal("low watermark at the end", 101L, deleteBefore(-1));
    }

    private long deleteBefore(long offset) throws Exception {
        var deleted = broker.admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(offset)));
        return deleted.lowWatermarks().get(partition).get().lowWatermark();
    }

    private void startsAt(int beginning) throws Exception {
        try (var consumer = fromZero("earliest")) {
            Check.equal("beginning", Map.of(partition, (long) beginning), consumer.beginningOffsets(List.of(partition)));
            var values = new ArrayList<String>();
            Check.await("the records that are left", () -> {
                for (var record : consumer.poll(Broker.POLL)) {
                    Check.equal("offset", (long) beginning + values.size(), record.offset());
                    values.add(record.value());
                }
                return values.size() >= records.count() - beginning;
            });
            Check.equal("values", records.values(partition).subList(beginning, records.count()), values);
        }
    }

    private void resetsToTheEnd() throws Exception {
        try (var consumer = fromZero("latest")) {
            Check.await("the position is the end", () -> {
                Check.that("nothing is read", consumer.poll(Broker.POLL).isEmpty());
                return consumer.position(partition) == records.count();
            });
            records.spread(partition.topic(), 1, 1);
            Check.await("the next record", () -> {
                for (var record : consumer.poll(Broker.POLL)) {
                    Check.equal("offset", records.count() - 1L, record.offset());
                    return true;
                }
                return false;
            });
        }
    }

    private void doesNotReset() {
        try (var consumer = fromZero("none")) {
            var refusal = Check.fails("reading from 0", OffsetOutOfRangeException.class,
                () -> consumer.poll(Check.TIMEOUT));
            Check.equal("out of range", Map.of(partition, 0L), refusal.offsetOutOfRangePartitions());
        }
    }

    private KafkaConsumer<String, String> fromZero(String reset) {
        var consumer = broker.consumer(Map.of("auto.offset.reset", reset));
        consumer.assign(List.of(partition));
        consumer.seek(partition, 0);
        return consumer;
    }
}
