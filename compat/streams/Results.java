import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What came out, or should: the last value of every key of a table, and how often every record of a stream occurs. The
 * timestamps belong to it. Times count from the beginning of the input, so that the same seed gives the same results.
 */
final class Results {
    /** Each update of a key begins with a count, which must rise: one that does not comes twice, or is a step back. */
    private static final Set<String> TABLES = Set.of("histories", "totals", "recent");
    private static final Set<String> STREAMS = Set.of("priced", "paid", "closed");
    private static final int SHOWN_MAX = 5;

    private final long beginMs;
    private final Map<String, Map<String, String>> topics = new TreeMap<>();

    Results(long beginMs) {
        this.beginMs = beginMs;
        topics().forEach(topic -> topics.put(topic, new HashMap<>()));
    }

    static Set<String> topics() {
        var topics = new TreeSet<>(TABLES);
        topics.addAll(STREAMS);
        return topics;
    }

    void add(String topic, String key, String value, long timeMs) {
        if (STREAMS.contains(topic)) {
            String record = relative(key) + ": " + value + " at " + (timeMs - beginMs);
            topics.get(topic).merge(record, "1", (count, one) -> Long.parseLong(count) + 1 + "");
        } else {
            String before = topics.get(topic).put(relative(key), value + " at " + (timeMs - beginMs));
            if (before != null && count(before) >= count(value)) {
                throw new AssertionError(topic + ": " + key + ": " + value + " after " + before);
            }
        }
    }

    /** A window's key ends with its begin. */
    private String relative(String key) {
        int at = key.indexOf('@');
        return at < 0 ? key : key.substring(0, at + 1) + (Long.parseLong(key.substring(at + 1)) - beginMs);
    }

    private static long count(String value) {
        return Long.parseLong(value.split(" ")[0]);
    }

    int size(String topic) {
        return topics.get(topic).size();
    }

    boolean equal(Results expected) {
        return topics.equals(expected.topics);
    }

    /** What is not as expected, a few of each topic. */
    String differences(Results expected) {
        var text = new StringBuilder();
        expected.topics.forEach((topic, wanted) -> {
            Map<String, String> found = topics.get(topic);
            var keys = new TreeSet<>(wanted.keySet());
            keys.addAll(found.keySet());
            List<String> different = keys.stream()
                .filter(key -> !Objects.equals(wanted.get(key), found.get(key)))
                .map(key -> "  " + key + ": " + wanted.get(key) + " expected, not " + found.get(key)).toList();
            if (!different.isEmpty()) {
                text.append(topic).append(": ").append(different.size()).append(" of ").append(keys.size()).append(" differ\n");
                different.stream().limit(SHOWN_MAX).forEach(line -> text.append(line).append("\n"));
            }
        });
        return text.toString();
    }

    /** The sizes, and a number that is another one for any other results. */
    @Override
    public String toString() {
        var text = new StringBuilder();
        topics.forEach((topic, results) -> text.append(topic).append(" ").append(results.size()).append(", "));
        return text + "digest " + Integer.toHexString(topics.hashCode());
    }
}
