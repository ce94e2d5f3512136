//! What was counted, as the console shows it. It never counts anything itself.

use session::TableReply;

use crate::counting::sums;
use crate::gatekeeper::Gatekeeper;
use crate::stats::{Answer, Figure, Totals};
use crate::world::World;

/// pgbouncer's columns that mean the same here, then ours. A query is a request that went up: a Query, or a batch up to its Sync. Of
/// prepared statements nothing is counted, as a name of one says nothing about what is sent.
const COLUMNS: [&str; 23] = [
    "database",
    "total_xact_count",
    "total_query_count",
    "total_server_assignment_count",
    "total_received",
    "total_sent",
    "total_xact_time",
    "total_query_time",
    "total_wait_time",
    "total_client_login_count",
    "avg_xact_count",
    "avg_query_count",
    "avg_server_assignment_count",
    "avg_recv",
    "avg_sent",
    "avg_xact_time",
    "avg_query_time",
    "avg_wait_time",
    "total_passed",
    "total_signed",
    "total_held",
    "total_denied",
    "total_refused",
];

pub(super) async fn show_stats<W: World>(keeper: &Gatekeeper<W>) -> TableReply {
    let period = keeper.periods.last();
    let row = |(name, totals): (String, Totals)| {
        let averages = period.as_ref().map_or([0; 8], |period| {
            let it = period.of(&name);
            let transactions = it.of(Figure::Transactions);
            [
                period.per_second(transactions),
                period.per_second(it.queries()),
                period.per_second(it.of(Figure::Assignments)),
                period.per_second(it.of(Figure::Received)),
                period.per_second(it.of(Figure::Sent)),
                it.each(Figure::TransactionTime, transactions),
                it.each(Figure::QueryTime, it.queries()),
                it.each(Figure::WaitTime, it.of(Figure::Assignments)),
            ]
        });
        let figures = [
            totals.of(Figure::Transactions),
            totals.queries(),
            totals.of(Figure::Assignments),
            totals.of(Figure::Received),
            totals.of(Figure::Sent),
            totals.of(Figure::TransactionTime),
            totals.of(Figure::QueryTime),
            totals.of(Figure::WaitTime),
            totals.of(Figure::Logins),
        ];
        let answers = Answer::ALL.map(|it| totals.answered(it));
        let figures = figures.into_iter().chain(averages).chain(answers);
        let figures = figures.map(|it| Some(it.to_string()));
        std::iter::once(Some(name)).chain(figures).collect()
    };
    let sums = sums(&keeper.crew).await;
    TableReply {
        columns: COLUMNS.to_vec(),
        rows: sums.into_iter().map(row).collect(),
        tag: "SHOW".to_owned(),
    }
}
