import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;

/**
 * What the application reads: customers' orders, their payments, and the tiers they are in. The same for the same seed,
 * but for the hour it begins in.
 *
 * <p>A customer's records are all in one partition. Tiers do not change any more when orders begin, so that an order has
 * one. Orders and payments come a little out of order, by less than the grace of closed windows, and no two at the same
 * time. Two things of Streams 4.3 are avoided: a versioned table would give many tiers, but forgets its history in a clean
 * restart; and in a join's store, records of one customer and time may replace each other after any restart.
 */
final class Input {
    static final int PARTITIONS = 3;
    private static final int CUSTOMERS = 60;
    private static final int PRODUCTS = 20;
    private static final int TIERS = 5;
    private static final long STEP_MS = 10;
    /** So many are out of order. */
    private static final int SHUFFLED = 200;
    private static final int TIER_CHANGES = 500;
    private static final long HOUR_MS = 3_600_000;

    record Event(String topic, int partition, String customer, String value, long timeMs) {}

    /** Of orders and payments: recent, or their retention ends. */
    final long beginMs = System.currentTimeMillis() / HOUR_MS * HOUR_MS - HOUR_MS;
    final List<Event> tiers = new ArrayList<>();
    /** Orders and payments, as they are sent. */
    final List<Event> events = new ArrayList<>();
    private final Random random;

    Input(long seed, int records) {
        random = new Random(seed);
        long endMs = beginMs + records * STEP_MS;
        for (int change = -TIER_CHANGES; change < 0; change++) {
            // Every customer has one, and most have others later.
            int customer = change < CUSTOMERS - TIER_CHANGES ? change + TIER_CHANGES : random.nextInt(CUSTOMERS);
            tiers.add(event("tiers", customer, "tier-" + random.nextInt(TIERS), beginMs + change));
        }
        var times = new ArrayList<Long>();
        for (int number = 0; number < records; number++) {
            if (number % SHUFFLED == 0) {
                times.clear();
                LongStream.range(number, number + SHUFFLED).forEach(step -> times.add(beginMs + step * STEP_MS));
                Collections.shuffle(times, random);
            }
            add(number, random.nextInt(CUSTOMERS), random.nextBoolean(), times.get(number % SHUFFLED));
        }
        // They close each partition's windows; their own stay open.
        for (int partition = 0; partition < PARTITIONS; partition++) {
            add(records + partition, partition, true, endMs + 2 * (Application.CLOSED_SIZE_MS + Application.CLOSED_GRACE_MS));
        }
    }

    /** Those of one topic. */
    List<Event> events(String topic) {
        return events.stream().filter(event -> event.topic().equals(topic)).toList();
    }

    /** An order of a product for an amount, or a payment. */
    private void add(int number, int customer, boolean isOrder, long timeMs) {
        String order = number + " product-" + random.nextInt(PRODUCTS) + " " + random.nextInt(1_000);
        events.add(event(isOrder ? "orders" : "payments", customer, isOrder ? order : number + "", timeMs));
    }

    private static Event event(String topic, int customer, String value, long timeMs) {
        return new Event(topic, customer % PARTITIONS, "customer-" + customer, value, timeMs);
    }
}
