import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

import org.apache.kafka.common.utils.Exit;
import org.slf4j.LoggerFactory;

/**
 * Runs a tool of Kafka's for each line of standard input, and tells its exit status and what it printed, each stream by
 * itself.
 *
 * <p>A line is the tool's standard input, its main class and its arguments, each in base64, with tabs between them. The
 * answer is a line too: exit status, standard output and standard error, the last two in base64.
 */
public final class Tools {
    /** In place of the end of the JVM. */
    private static final class Ended extends RuntimeException {
        private final int status;

        Ended(int status) {
            super("exit status " + status, null, false, false);
            this.status = status;
        }
    }

    private static final List<Runnable> HOOKS = new ArrayList<>();
    private static ByteArrayOutputStream out;
    private static ByteArrayOutputStream err;
    /** Of the first end: a tool may take what is thrown in its place for an error. */
    private static String ended;

    public static void main(String[] arguments) throws Exception {
        // Its appender keeps the standard error of now: no line of the log is taken for what a tool says.
        LoggerFactory.getLogger(Tools.class);
        Exit.Procedure end = (status, message) -> {
            end(status);
            throw new Ended(status);
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        PrintStream answers = System.out;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answers.println(run(line.split("\t")));
            answers.flush();
        }
        System.exit(0);
    }

    private static String run(String[] words) throws ReflectiveOperationException {
        out = new ByteArrayOutputStream();
        err = new ByteArrayOutputStream();
        ended = null;
        System.setIn(new ByteArrayInputStream(Base64.getDecoder().decode(words[0])));
        System.setOut(new PrintStream(out, true));
        System.setErr(new PrintStream(err, true));
        String[] arguments = new String[words.length - 2];
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] = text(words[i + 2]);
        }
        end(call(text(words[1]), arguments));
        return ended;
    }

    /** Keeps what was printed until now, after what the tool does when its process ends. */
    private static void end(int status) {
        if (ended != null) {
            return;
        }
        HOOKS.forEach(Runnable::run);
        HOOKS.clear();
        System.out.flush();
        System.err.flush();
        Base64.Encoder encoder = Base64.getEncoder();
        ended = status + "\t" + encoder.encodeToString(out.toByteArray()) + "\t" + encoder.encodeToString(err.toByteArray());
    }

    private static int call(String name, String[] arguments) throws ReflectiveOperationException {
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException error) {
            if (error.getCause() instanceof Ended) {
                return ((Ended) error.getCause()).status;
            }
            error.getCause().printStackTrace();
            return 1;
        }
    }

    private static String text(String word) {
        return new String(Base64.getDecoder().decode(word));
    }
}
