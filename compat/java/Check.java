import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.ExecutionException;

/** What scenarios assert: the first thing that is not so ends them. */
final class Check {
    /** The longest that what must come may take. */
    static final Duration TIMEOUT = Duration.ofSeconds(60);
    private static final long INTERVAL_MS = 20;

    interface Call {
        Object run() throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    private Check() {}

    static void that(String what, boolean holds) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static <T> void equal(String what, T expected, T actual) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + brief(expected) + ", not " + brief(actual));
        }
    }

    /** The call fails with this exception, thrown or as the cause of a failed future. */
    static <E extends Throwable> E fails(String what, Class<E> expected, Call call) {
        Object result;
        try {
            result = call.run();
        } catch (Exception e) {
            Throwable failure = e instanceof ExecutionException ? e.getCause() : e;
            if (expected.isInstance(failure)) {
                return expected.cast(failure);
            }
            throw new AssertionError(what + ": expected " + expected.getSimpleName(), failure);
        }
        throw new AssertionError(what + ": expected " + expected.getSimpleName() + ", not success with " + brief(result));
    }

    static void await(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + TIMEOUT.toNanos();
        while (!condition.holds()) {
            that(what + ": not within " + TIMEOUT.toSeconds() + " s", System.nanoTime() < deadline);
            Thread.sleep(INTERVAL_MS);
        }
    }

    private static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 200 ? text : text.substring(0, 200) + "... (" + text.length() + " characters)";
    }
}
