import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** Open transactions as an administrator sees and ends them. */
final class TransactionsAdmin {
    private static final int TIMEOUT_MS = 60_000;
    private static final int RECORDS = 10;

    private final Broker broker;
    private final Admin admin;
    private final List<TopicPartition> partitions;

    private TransactionsAdmin(Broker broker) throws Exception {
        this.broker = broker;
        this.admin = broker.admin;
        this.partitions = Broker.partitions(broker.topic("records", 2), 2);
    }

    static void run(Broker broker) throws Exception {
        var transactions = new TransactionsAdmin(broker);
        try (var producer = transactions.open("fenced")) {
            transactions.fence(producer, broker.name("fenced"));
        }
        try (var producer = transactions.open("hanging")) {
            transactions.abort(broker.name("hanging"));
        }
    }

    private KafkaProducer<String, String> open(String id) throws Exception {
        long start = System.currentTimeMillis();
        var producer = Transactions.producer(broker, id, Map.of("transaction.timeout.ms", TIMEOUT_MS));
        Check.equal("state before", TransactionState.EMPTY, describe(broker.name(id)).state());
        producer.beginTransaction();
        for (TopicPartition partition : partitions) {
            for (int i = 0; i < RECORDS; i++) {
                producer.send(new ProducerRecord<>(partition.topic(), partition.partition(), "key", id + "-" + i));
            }
        }
        producer.flush();
        isDescribed(broker.name(id), start);
        return producer;
    }

    private TransactionDescription describe(String id) throws Exception {
        return admin.describeTransactions(List.of(id)).description(id).get();
    }

    private List<TransactionListing> listing(String id, ListTransactionsOptions options) throws Exception {
        var listed = admin.listTransactions(options).all().get();
        return listed.stream().filter(listing -> listing.transactionalId().equals(id)).toList();
    }

    private void isDescribed(String id, long startMs) throws Exception {
        TransactionDescription description = describe(id);
        Check.equal("coordinator", admin.describeCluster().controller().get().id(), description.coordinatorId());
        Check.equal("state", TransactionState.ONGOING, description.state());
        Check.equal("timeout", (long) TIMEOUT_MS, description.transactionTimeoutMs());
        long started = description.transactionStartTimeMs().getAsLong();
        Check.that("it began at " + started, started >= startMs && started <= System.currentTimeMillis());
        Check.equal("partitions", Set.copyOf(partitions), description.topicPartitions());
        long producer = description.producerId();

        var listed = List.of(new TransactionListing(id, producer, TransactionState.ONGOING));
        var options = new ListTransactionsOptions();
        Check.equal("listed", listed, listing(id, options));
        options.filterStates(Set.of(TransactionState.ONGOING, TransactionState.EMPTY));
        Check.equal("listed by its state", listed, listing(id, options));
        options.filterProducerIds(Set.of(producer));
        Check.equal("listed by its producer", listed, List.copyOf(admin.listTransactions(options).all().get()));
        options.filterOnDuration(TIMEOUT_MS * 60L);
        Check.equal("listed as a long one", List.of(), listing(id, options));
        options = new ListTransactionsOptions().filterStates(Set.of(TransactionState.COMPLETE_COMMIT));
        Check.equal("listed as committed", List.of(), listing(id, options));
        Check.fails("an unknown one", TransactionalIdNotFoundException.class, () -> describe(id + "-unknown"));
        for (TopicPartition partition : partitions) {
            ProducerState state = producer(partition, producer);
            Check.equal("epoch", description.producerEpoch(), state.producerEpoch());
            Check.equal("last sequence", RECORDS - 1, state.lastSequence());
            Check.that("it wrote at " + state.lastTimestamp(), state.lastTimestamp() >= startMs);
            Check.equal("it began", OptionalLong.of(end(partition, IsolationLevel.READ_COMMITTED)),
                state.currentTransactionStartOffset());
        }
    }

    private ProducerState producer(TopicPartition partition, long id) throws Exception {
        var states = admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers();
        return states.stream().filter(state -> state.producerId() == id).findFirst().orElseThrow();
    }

    private long end(TopicPartition partition, IsolationLevel isolation) throws Exception {
        return Transactions.end(broker, partition, isolation);
    }

    private void isDecided(TopicPartition partition, long producer) throws Exception {
        Check.await("the end of the transaction", () ->
            end(partition, IsolationLevel.READ_COMMITTED) == end(partition, IsolationLevel.READ_UNCOMMITTED));
        Check.equal("it began", OptionalLong.empty(), producer(partition, producer).currentTransactionStartOffset());
    }

    private void fence(KafkaProducer<String, String> producer, String id) throws Exception {
        TransactionDescription before = describe(id);
        var fenced = admin.fenceProducers(List.of(id));
        fenced.all().get();
        Check.equal("producer", before.producerId(), fenced.producerId(id).get());
        Check.that("its epoch is new", fenced.epochId(id).get() > before.producerEpoch());
        for (TopicPartition partition : partitions) {
            isDecided(partition, before.producerId());
        }
        Check.equal("state", TransactionState.EMPTY, describe(id).state());
        Check.equal("partitions", Set.of(), describe(id).topicPartitions());
        Check.fails("the commit", ProducerFencedException.class, () -> {
            producer.commitTransaction();
            return "";
        });
    }

    /** One partition after the other: a marker without the coordinator, which still has the transaction. */
    private void abort(String id) throws Exception {
        long producer = describe(id).producerId();
        for (TopicPartition partition : partitions) {
            ProducerState state = producer(partition, producer);
            var hanging = new AbortTransactionSpec(partition, producer, (short) state.producerEpoch(),
                state.coordinatorEpoch().orElse(0));
            admin.abortTransaction(hanging).all().get();
            isDecided(partition, producer);
        }
        Check.equal("state", TransactionState.ONGOING, describe(id).state());
    }
}
