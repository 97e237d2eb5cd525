import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Runs one scenario of ../README.md on Apache Kafka's client: {@code Main SCENARIO BOOTSTRAP}. */
public final class Main {
    private interface Scenario {
        void run(Broker broker) throws Exception;
    }

    private static Map<String, Scenario> scenarios() {
        var scenarios = new LinkedHashMap<String, Scenario>();
        scenarios.put("admin", Topics::admin);
        for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
            scenarios.put("produce-" + codec, broker -> Producing.codec(broker, codec));
        }
        scenarios.put("idempotent", Producing::idempotent);
        scenarios.put("headers", Producing::headers);
        scenarios.put("large", Producing::large);
        scenarios.put("group", broker -> new Groups(broker, "classic").group());
        scenarios.put("group-new", broker -> new Groups(broker, "consumer").group());
        scenarios.put("static", broker -> new Groups(broker, "classic").staticMembers());
        scenarios.put("static-new", broker -> new Groups(broker, "consumer").staticMembers());
        scenarios.put("cooperative", broker -> new Groups(broker, "classic").cooperative());
        scenarios.put("migrate", broker -> new Groups(broker, "classic").migrate());
        scenarios.put("regex", Patterns::regex);
        scenarios.put("seek", Reading::seek);
        scenarios.put("commit", Commits::commit);
        scenarios.put("delete-records", DeletedRecords::deleteRecords);
        scenarios.put("long-poll", Reading::longPoll);
        scenarios.put("restart", broker -> new Restart(broker).run());
        scenarios.put("transactions", Transactions::transactions);
        scenarios.put("fencing", Transactions::fencing);
        scenarios.put("exactly-once", broker -> new ExactlyOnce(broker, "classic").run());
        scenarios.put("exactly-once-new", broker -> new ExactlyOnce(broker, "consumer").run());
        scenarios.put("transaction-timeout", Transactions::timeout);
        scenarios.put("transactions-admin", TransactionsAdmin::run);
        return scenarios;
    }

    /** Scenarios of the consumer protocol (KIP-848). */
    private static final Set<String> NEW = Set.of("group-new", "static-new", "migrate", "exactly-once-new");
    private static final int NOT_APPLICABLE = 77;

    public static void main(String[] args) {
        Scenario scenario = args.length == 2 ? scenarios().get(args[0]) : null;
        if (scenario == null) {
            System.err.println("Main SCENARIO BOOTSTRAP, with one of " + scenarios().keySet());
            System.exit(2);
        }
        if (NEW.contains(args[0]) && !Patterns.areReadByBrokers()) {
            System.out.println("the consumer protocol is a preview in this release, which is not for use");
            System.exit(NOT_APPLICABLE);
        }
        try {
            var broker = new Broker(args[1], args[0]);
            scenario.run(broker);
            broker.admin.close();
        } catch (Throwable e) {
            e.printStackTrace();
            // Nothing is closed, and threads may still wait for a broker that does not answer.
            Runtime.getRuntime().halt(1);
        }
    }
}
