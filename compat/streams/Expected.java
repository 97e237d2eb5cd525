import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** What the application must give for an input, in plain loops. */
final class Expected {
    /** The newest of what went into it is its time. */
    private record Aggregate(String value, long timeMs) {}

    private final Input input;
    private final Results results;
    private final Map<String, Map<String, Aggregate>> tables = new HashMap<>();

    private Expected(Input input) {
        this.input = input;
        this.results = new Results(input.beginMs);
    }

    static Results of(Input input) {
        var expected = new Expected(input);
        expected.joins();
        expected.aggregates();
        return expected.results;
    }

    private void joins() {
        var tiers = new HashMap<String, String>();
        input.tiers.forEach(tier -> tiers.put(tier.customer(), tier.value()));
        var payments = new HashMap<String, List<Input.Event>>();
        for (var payment : input.events("payments")) {
            payments.computeIfAbsent(payment.customer(), customer -> new ArrayList<>()).add(payment);
        }
        for (var order : input.events("orders")) {
            String priced = order.value() + " " + tiers.get(order.customer());
            results.add("priced", order.customer(), priced, order.timeMs());
            for (var payment : payments.getOrDefault(order.customer(), List.of())) {
                if (Math.abs(order.timeMs() - payment.timeMs()) <= Application.JOIN_MS) {
                    results.add("paid", order.customer(), Application.paid(order.value(), payment.value()),
                        Math.max(order.timeMs(), payment.timeMs()));
                }
            }
        }
    }

    private void aggregates() {
        long newestMs = 0;
        for (var order : input.events("orders")) {
            String product = order.value().split(" ")[1];
            add("histories", order.customer(), "0 0", history -> Application.history(order.value(), history), order.timeMs());
            add("totals", product, "0 0", total -> Application.total(order.value(), total), order.timeMs());
            count("recent", product, Application.RECENT_SIZE_MS, Application.RECENT_ADVANCE_MS, order.timeMs());
            count("closed", order.customer(), Application.CLOSED_SIZE_MS, Application.CLOSED_SIZE_MS, order.timeMs());
            newestMs = Math.max(newestMs, order.timeMs());
        }
        long closedMs = newestMs - Application.CLOSED_GRACE_MS - Application.CLOSED_SIZE_MS;
        tables.get("closed").keySet().removeIf(window -> Long.parseLong(window.split("@")[1]) > closedMs);
        tables.forEach((topic, table) -> table.forEach((key, last) -> results.add(topic, key, last.value(), last.timeMs())));
    }

    /** In every window that the time is in. */
    private void count(String topic, String key, long sizeMs, long advanceMs, long timeMs) {
        for (long beginMs = timeMs / advanceMs * advanceMs; beginMs > timeMs - sizeMs; beginMs -= advanceMs) {
            add(topic, key + "@" + beginMs, "0", count -> Long.parseLong(count) + 1 + "", timeMs);
        }
    }

    private void add(String topic, String key, String beginning, UnaryOperator<String> step, long timeMs) {
        tables.computeIfAbsent(topic, t -> new HashMap<>()).compute(key, (k, last) -> last == null
            ? new Aggregate(step.apply(beginning), timeMs)
            : new Aggregate(step.apply(last.value()), Math.max(last.timeMs(), timeMs)));
    }
}
