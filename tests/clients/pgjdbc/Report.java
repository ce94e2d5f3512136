import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.Objects;

/** Runs checks and says how each went, in the words of a client suite; it never stops at the first failure. */
final class Report {
    interface Body {
        void run() throws Exception;
    }

    /** Thrown by a check for what cannot be had here. */
    static final class Skip extends Exception {
        private static final long serialVersionUID = 1;

        Skip(String why) {
            super(why);
        }
    }

    private boolean failed;

    void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Skip skip) {
            System.out.println("skip " + name + ": " + skip.getMessage());
        } catch (Exception | AssertionError failure) {
            failed = true;
            System.out.println("not ok " + name + ": " + line(failure.toString()));
            StringWriter trace = new StringWriter();
            failure.printStackTrace(new PrintWriter(trace));
            trace.toString().lines().forEach(at -> System.out.println("# " + at));
        }
    }

    int exitCode() {
        return failed ? 1 : 0;
    }

    static void equal(Object expected, Object seen) {
        if (!Objects.deepEquals(expected, seen)) {
            throw new AssertionError("expected " + text(expected) + ", saw " + text(seen));
        }
    }

    static void isTrue(String what, boolean holds) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }

    /**
     * For a check whose sessions keep so many connections to the server from each other: by transactions that are
     * open at the same time, or by something that a session has to itself.
     */
    static void needs(int connections) throws Skip {
        String pool = Objects.requireNonNullElse(System.getenv("POOL"), "");
        if (!pool.isEmpty() && Integer.parseInt(pool) < connections) {
            throw new Skip("needs " + connections + " connections to the server at a time, and the gate has " + pool);
        }
    }

    static String line(String text) {
        return text.replaceAll("\\s*\\n\\s*", " | ");
    }

    private static String text(Object value) {
        return value instanceof Object[] list ? Arrays.deepToString(list) : String.valueOf(value);
    }
}
