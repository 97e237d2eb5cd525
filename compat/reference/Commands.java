import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

import org.apache.kafka.common.utils.Exit;

/**
 * Runs a tool for each line of standard input: to start a JVM for each takes longer than what they do.
 *
 * <p>A line is the tool's main class and its arguments, with tabs between them. What it prints, errors included, is
 * followed by a line of an equals sign and its exit status.
 */
public final class Commands {
    /** In place of the end of the JVM. */
    private static final class Ended extends RuntimeException {
        private final int status;

        Ended(int status) {
            super("exit status " + status, null, false, false);
            this.status = status;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Exit.Procedure end = (status, message) -> {
            throw new Ended(status);
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        System.setErr(System.out);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println("\n= " + run(line.split("\t")));
            System.out.flush();
        }
    }

    private static int run(String[] words) throws ReflectiveOperationException {
        Method main = Class.forName(words[0]).getMethod("main", String[].class);
        try {
            main.invoke(null, (Object) Arrays.copyOfRange(words, 1, words.length));
            return 0;
        } catch (InvocationTargetException error) {
            if (error.getCause() instanceof Ended) {
                return ((Ended) error.getCause()).status;
            }
            System.out.println(error.getCause());
            return 1;
        }
    }
}
