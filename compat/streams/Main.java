/**
 * A Kafka Streams application and the judge of its results.
 *
 * <p>The {@link Judge} fills the application's topics in stages and reads what comes out, as readers of committed
 * records see it. The {@link Application} may be killed at any time, with or without its state, and its broker too: what
 * came out at the end is what {@link Expected} says, computed from the input without Streams. Every result is fixed by
 * the seed, whatever the order in which the application met its partitions; how, the classes say.
 */
public final class Main {
    public static void main(String[] args) {
        try {
            if (args.length == 6 && args[0].equals("judge")) {
                var input = new Input(Long.parseLong(args[3]), Integer.parseInt(args[4]));
                new Judge(args[1], args[2], input, Integer.parseInt(args[5])).run();
            } else if (args.length == 4 && args[0].equals("app")) {
                Application.run(args[1], args[2], args[3]);
            } else {
                System.err.println("judge BOOTSTRAP NAME SEED RECORDS STAGES, or app BOOTSTRAP NAME STATE");
                Runtime.getRuntime().halt(2);
            }
        } catch (Throwable e) {
            e.printStackTrace();
            // Nothing is closed, and threads may still wait for a broker that does not answer.
            Runtime.getRuntime().halt(1);
        }
        System.exit(0);
    }
}
