import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serdes.StringSerde;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The topology, with every kind of state that Streams keeps in changelogs.
 *
 * <p>Its results do not depend on the order in which partitions are met, which no broker promises: a customer's records
 * come from one partition in their order, sums over customers commute, the newest tier is older than the first order, and
 * nothing is ever too late for its window.
 */
final class Application {
    static final long JOIN_MS = 1_000;
    static final long CLOSED_SIZE_MS = 10_000;
    static final long CLOSED_GRACE_MS = 5_000;
    static final long RECENT_SIZE_MS = 60_000;
    static final long RECENT_ADVANCE_MS = 20_000;
    /** Longer than the time between any two records. */
    private static final Duration ALWAYS = Duration.ofDays(1);
    private static final Duration CLOSING = Duration.ofMinutes(1);

    private final String name;
    private final StreamsBuilder builder = new StreamsBuilder();

    private Application(String name) {
        this.name = name;
    }

    /** Until standard input closes. */
    static void run(String bootstrap, String name, String state) throws Exception {
        var streams = new KafkaStreams(new Application(name).topology(), settings(bootstrap, name, state));
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            System.out.println(now);
            if (now == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);
            }
        });
        streams.start();
        System.in.transferTo(System.err);
        if (!streams.close(CLOSING)) {
            throw new IllegalStateException("not closed within " + CLOSING);
        }
    }

    private static Properties settings(String bootstrap, String name, String state) {
        var settings = new Properties();
        settings.putAll(Map.of(
            "application.id", name,
            "bootstrap.servers", bootstrap,
            "state.dir", state,
            "processing.guarantee", "exactly_once_v2",
            "group.protocol", "classic",
            "num.stream.threads", 2,
            "commit.interval.ms", 100,
            // Purged by DeleteRecords.
            "repartition.purge.interval.ms", 1_000));
        // A killed application is missed soon, and so are its transactions.
        settings.putAll(Map.of("session.timeout.ms", 3_000, "heartbeat.interval.ms", 500, "transaction.timeout.ms", 10_000));
        settings.putAll(Map.of("default.key.serde", StringSerde.class, "default.value.serde", StringSerde.class));
        return settings;
    }

    private Topology topology() {
        KStream<String, String> orders = builder.stream(topic("orders"));
        joins(orders);
        customers(orders);
        products(orders);
        return builder.build();
    }

    private void joins(KStream<String, String> orders) {
        KTable<String, String> tiers = builder.table(topic("tiers"), Materialized.as("tiers"));
        orders.join(tiers, (order, tier) -> order + " " + tier).to(topic("priced"));
        KStream<String, String> payments = builder.stream(topic("payments"));
        var nearby = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofMillis(JOIN_MS), ALWAYS);
        orders.join(payments, Application::paid, nearby, StreamJoined.as("paid")).to(topic("paid"));
    }

    private void customers(KStream<String, String> orders) {
        var customers = orders.groupByKey();
        customers.aggregate(() -> "0 0", (customer, order, history) -> history(order, history), Materialized.as("histories"))
            .toStream().to(topic("histories"));
        var windows = TimeWindows.ofSizeAndGrace(Duration.ofMillis(CLOSED_SIZE_MS), Duration.ofMillis(CLOSED_GRACE_MS));
        // A cache gives counts in no order of time: some would follow what has closed their windows.
        customers.windowedBy(windows)
            .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("closed")
                .withKeySerde(Serdes.String()).withCachingDisabled())
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName("open")).toStream()
            .map(Application::counted).to(topic("closed"));
    }

    private void products(KStream<String, String> orders) {
        var products = orders.selectKey((customer, order) -> order.split(" ")[1])
            .repartition(Repartitioned.as("products")).groupByKey();
        products.aggregate(() -> "0 0", (product, order, total) -> total(order, total), Materialized.as("totals"))
            .toStream().to(topic("totals"));
        products.windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMillis(RECENT_SIZE_MS), ALWAYS)
                .advanceBy(Duration.ofMillis(RECENT_ADVANCE_MS)))
            .count(Materialized.as("recent")).toStream().map(Application::counted).to(topic("recent"));
    }

    private String topic(String what) {
        return name + "-" + what;
    }

    private static KeyValue<String, String> counted(Windowed<String> window, Long count) {
        return KeyValue.pair(window.key() + "@" + window.window().start(), count.toString());
    }

    static String paid(String order, String payment) {
        return order.split(" ")[0] + " by " + payment;
    }

    /** How many orders, and a number that no other orders in no other order give. */
    static String history(String order, String history) {
        String[] parts = history.split(" ");
        return Long.parseLong(parts[0]) + 1 + " " + (Long.parseLong(parts[1]) * 31 + order.hashCode());
    }

    /** How many orders, and the sum of their amounts. */
    static String total(String order, String total) {
        String[] parts = total.split(" ");
        return Long.parseLong(parts[0]) + 1 + " " + (Long.parseLong(parts[1]) + Long.parseLong(order.split(" ")[2]));
    }
}
