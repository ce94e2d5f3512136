/** pgjdbc before the gate: every way it talks, or with HOLD=1 what somebody at it sees of a hold. */
final class Main {
    private Main() {}

    public static void main(String[] arguments) {
        System.out.println("version " + new org.postgresql.Driver().getClass().getPackage().getImplementationVersion());
        System.out.println("# " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        Report report = new Report();
        if (System.getenv("HOLD") != null) {
            Holds.checks(report);
        } else {
            report.check("tables", Values::createTables);
            Values.checks(report);
            Transactions.checks(report);
            Conversation.checks(report);
            Catalog.checks(report);
            report.check("tables go", Values::dropTables);
        }
        System.exit(report.exitCode());
    }
}
