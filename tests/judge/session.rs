//! One session of the server's, and what can be seen of what it holds. It never fails because a statement does.

use harness::raw::{self, Frame, Raw};
use harness::sandbox::Postgres;
use harness::{DEADLINE, Login};

/// What a session can hold or change, as PostgreSQL lists it. A cursor without HOLD goes with its transaction, like what is
/// open in any other way.
const STATE: &str = "SELECT pg_catalog.pg_current_wal_insert_lsn(), \
     coalesce(pg_catalog.pg_current_xact_id_if_assigned()::text, ''), \
     (SELECT pg_catalog.md5(pg_catalog.string_agg(name || '=' || setting, ',' ORDER BY name)) \
       FROM pg_catalog.pg_settings WHERE source = 'session' \
         AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')), \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' \
       AND pid = pg_catalog.pg_backend_pid()), \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_listening_channels()), \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements), \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors WHERE is_holdable), \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_depend \
       WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
         AND refobjid = pg_catalog.pg_my_temp_schema())";

/// What the columns after the WAL's are called.
const LEAVES: [&str; 7] = [
    "a transaction id",
    "settings",
    "advisory locks",
    "channels",
    "prepared statements",
    "cursors WITH HOLD",
    "temporary objects",
];

/// What a session holds.
#[derive(PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) wal: String,
    holds: Vec<String>,
}

impl State {
    /// What came between.
    pub(crate) fn left_by(&self, after: &State) -> Option<String> {
        let both = self.holds.iter().zip(&after.holds).zip(LEAVES);
        let changed: Vec<&str> = both
            .filter(|((before, after), _)| before != after)
            .map(|(_, what)| what)
            .collect();
        (!changed.is_empty()).then(|| changed.join(", "))
    }
}

/// How a statement ended.
pub(crate) enum Answer {
    Done,
    Failed { code: String, message: String },
    Lost,
}

impl Answer {
    pub(crate) fn failed(&self) -> bool {
        !matches!(self, Answer::Done)
    }

    pub(crate) fn code(&self) -> &str {
        match self {
            Answer::Failed { code, .. } => code,
            Answer::Done | Answer::Lost => "",
        }
    }
}

pub(crate) struct Session {
    raw: Option<Raw>,
    status: u8,
}

impl Session {
    pub(crate) fn login(server: &Postgres, user: &str, database: &str) -> Self {
        let login = Login {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            user: user.to_owned(),
            password: server.password().to_owned(),
            database: database.to_owned(),
            root_cert: None,
        };
        let settings = [
            ("TimeZone", "America/Los_Angeles"),
            ("DateStyle", "Postgres, MDY"),
        ];
        // A role that is gone by now, and a database that takes nobody, are lost sessions.
        Session {
            raw: Raw::try_login(&login, &settings).ok(),
            status: b'I',
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.raw.is_none()
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.status != b'I'
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status == b'E'
    }

    /// Runs a query string. Data that it asks for is none.
    pub(crate) fn say(&mut self, sql: &str) -> Answer {
        self.ask(&raw::query(sql)).0
    }

    /// Has it parsed and analysed, and no more.
    pub(crate) fn parse(&mut self, sql: &str) -> Answer {
        let sent = [raw::parse("", sql), raw::sync()].concat();
        self.ask(&sent).0
    }

    /// Its rows, as far as they came.
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let (_, frames) = self.ask(&raw::query(sql));
        let row = |frame: &Frame| frame.columns().into_iter().map(Option::unwrap_or_default);
        let rows = frames.iter().filter(|frame| frame.tag == b'D');
        rows.map(|frame| row(frame).collect()).collect()
    }

    /// The whole text that PREPAREd this name, if the session can say.
    pub(crate) fn prepared(&mut self, name: &str) -> Option<String> {
        let name = name.replace('\'', "''");
        let text = format!(
            "SELECT statement FROM pg_catalog.pg_prepared_statements WHERE name OPERATOR(pg_catalog.=) '{name}'"
        );
        self.rows(&text).pop()?.pop()
    }

    /// What it holds now; none where it cannot be asked.
    pub(crate) fn state(&mut self) -> Option<State> {
        let mut row = self.rows(STATE).pop()?;
        let wal = row.remove(0);
        Some(State { wal, holds: row })
    }

    fn ask(&mut self, bytes: &[u8]) -> (Answer, Vec<Frame>) {
        let Some(raw) = self.raw.as_mut() else {
            return (Answer::Lost, Vec::new());
        };
        raw.send(bytes);
        let (mut answer, mut frames) = (Answer::Done, Vec::new());
        loop {
            let Ok(frame) = raw.frame_within(DEADLINE) else {
                (self.raw, self.status) = (None, b'I');
                return (Answer::Lost, frames);
            };
            match frame.tag {
                b'G' => raw.send(&raw::frame(b'c', &[])),
                b'E' => {
                    answer = Answer::Failed {
                        code: frame.sqlstate(),
                        message: frame.field('M').unwrap_or_default(),
                    }
                }
                b'Z' => {
                    self.status = frame.body[0];
                    return (answer, frames);
                }
                _ => frames.push(frame),
            }
        }
    }
}
