//! What may be loaded on an upstream: four sealed kinds, and nothing else. `Released` (and the
//! right to go on with it) comes from the claim, `Look` runs nothing, `Own` is constant SQL of the
//! gate (DESIGN principle 3). No kind carries a requester's text past Describe but `Released`.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use sql::Isolation;

use crate::claim::{Released, Right};
use crate::context::Settings;
use crate::isolation::test::Question;
use crate::ledger::{self, Key, Logins, Nonce};
use crate::progress;
use crate::surface::Slot;
use crate::ticket::{TicketId, TimeOuts};
use crate::work::Prepared;

/// One thing to load.
#[derive(Debug)]
pub enum Cargo {
    /// A request that may run.
    Released(Released, Form),
    /// A batch that may run, and for each step where its statement stands.
    Batch(Released, Vec<Slot>),
    /// More of a request that runs already.
    More(Right, More),
    /// Parse and Describe: nothing runs.
    Look(Look),
    /// The gate's own SQL.
    Own(Own),
    /// Ends a segment.
    Sync,
    /// Asks for what is there so far.
    Flush,
}

/// How a released Query string goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a Query message.
    Query,
    /// As Parse, Bind, Describe, Execute of the same bytes, which can only be one statement; the
    /// segment's Sync is not included.
    Parse,
}

/// Going on with what was released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum More {
    /// Execute of a portal that was bound.
    Execute {
        /// The portal.
        portal: ByteString,
        /// At most so many rows; 0 is all.
        max_rows: i32,
    },
    /// Describe of such a portal.
    DescribePortal(ByteString),
    /// Close of such a portal.
    ClosePortal(ByteString),
    /// Data of a COPY FROM STDIN that was released.
    CopyData(Bytes),
    /// Its end.
    CopyDone,
    /// Its end by the client's wish.
    CopyFail(ByteString),
}

/// Looking: nothing runs (hazards V1, R70).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Parse, under the slot's name.
    Parse(Arc<Prepared>, Slot),
    /// Describe of the statement in the slot, which the slot may have parsed first.
    Describe(Arc<Prepared>, Slot),
    /// Close of the statement in the slot.
    Close(Slot),
}

/// How the gate opens a transaction for a client whose BEGIN it answered itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Isolation level, if named.
    pub isolation: Option<Isolation>,
    /// READ ONLY or READ WRITE, if named.
    pub read_only: Option<bool>,
    /// DEFERRABLE or NOT DEFERRABLE, if named.
    pub deferrable: Option<bool>,
}

/// The gate's own SQL. The first group goes up by itself, as a Query with its own ReadyForQuery;
/// the second goes into an extended segment, before or behind what it fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// Query: opens the transaction that a client began.
    Begin(Begin),
    /// Query: ends a transaction, whatever it did.
    Rollback,
    /// A segment with its own Sync: all settings to their defaults, then these.
    Settings(Arc<Settings>),
    /// A segment with its own Sync: these as well, and all others as they are.
    Restore(Arc<Settings>),
    /// A segment with its own Sync: name and value of each setting that the session has of its own.
    Probe,
    /// Query: what was signed may wait for a lock, and run, no longer than this; within a transaction up to its end; and
    /// what it commits is on the server's disk before anybody hears of it (hazards R85). What stood before is kept where
    /// [`Own::Unlimit`] finds it.
    Limit {
        /// How long.
        time_outs: TimeOuts,
        /// Within a transaction.
        local: bool,
    },
    /// Query: takes that back.
    Unlimit {
        /// Within a transaction.
        local: bool,
    },
    /// In a segment, as its last: fails whatever the session did before, so that the transaction can
    /// only be rolled back, to a savepoint or whole (DESIGN ruling 4). No client can name something
    /// that makes it succeed. A Query will not do here: behind an open segment it is lost on 18
    /// (hazards V28).
    Poison,
    /// In a segment: opens a READ ONLY transaction around one unsigned read.
    FenceOpen,
    /// In a segment: ends it. Rolled back, so that a setting that a function changed goes with it.
    FenceClose,
    /// In a segment: fences an unsigned read inside a read-write transaction (hazards V27).
    SavepointOpen,
    /// In a segment: ends that.
    SavepointClose,
    /// In a segment: ends it, and takes back what was set in it.
    SavepointUndo,
    /// In a segment: READ ONLY with short time-outs, around a look (hazards R71).
    LookOpen,
    /// In a segment: ends it.
    LookClose,
    /// In a segment: lays down the row of what follows in the same transaction (hazards R81).
    Ledger(Nonce, TicketId),
    /// A segment with its own Sync: what became of that row; if nothing did, nothing will (hazards R83).
    Fence(Key, TicketId),
    /// Queries in a READ ONLY transaction of their own: what would let a login out of its tenant. PostgreSQL's own names come first,
    /// so that no temporary table stands in front of them (hazards R16, R116).
    SelfTest(Arc<Question>),
    /// Query: makes the ledger of a database.
    Install(Logins),
    /// Query: throws away what the session holds (hazards R24).
    Discard,
    /// Queries: frees advisory locks, and throws away what the session knows of sequences.
    Tidy,
    /// Queries in a READ ONLY transaction of their own: what the database's catalog holds that PostgreSQL did
    /// not bring, as `sql::Catalog` wants to be told. With no search_path but pg_catalog, so that nobody else's
    /// names decide what it asks (hazards R16), and the texts of views are qualified.
    Catalog,
    /// Query, on the primary: how far its log is written, and which server it is.
    Written,
    /// Query, on a replica: how far it has replayed that, and which server it is.
    Replayed,
    /// Queries in a READ ONLY transaction of their own: the names of what is otherwise on a replica, or not at all: unlogged
    /// tables, sequences, and what has these behind it.
    Local,
    /// Query: one row of counts of what the session holds all the same; each is 0 where nothing is
    /// left. Qualified down to operators, so that no search_path decides what it asks (hazards R16).
    Verify,
    /// Query: takes on the role again that the session logged in with.
    Role,
    /// The same as [`Own::Verify`] where the session logged in with a role to take on: it must be that one.
    VerifyRole,
}

const SET_CONFIG: &str = "SELECT pg_catalog.set_config($1, $2, false)";

/// The portal of what the gate runs inside a client's transaction; closed behind each.
const OWN_PORTAL: &str = "portcullis";

/// What is not PostgreSQL's own. Of an aggregate each function that it calls is a row; a procedure is only
/// CALLed, and that is always for a person.
const CATALOG: &str = "\
WITH own AS (SELECT oid, nspname FROM pg_catalog.pg_namespace \
    WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')), \
runs AS (SELECT p.*, l.lanname, concat_ws(' ', p.provolatile, l.lanname, left(p.prosecdef::text, 1)) AS how \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang) \
SELECT 'function', own.nspname, r.proname, \
    concat_ws(' ', greatest(r.pronargs - r.pronargdefaults - (r.provariadic <> 0)::int, 0), \
        CASE WHEN r.provariadic = 0 THEN r.pronargs::text ELSE '*' END, \
        coalesce((SELECT string_agg(DISTINCT 'NULL::' || format_type(type, -1), ', ') \
          FROM unnest(coalesce(r.proallargtypes, r.proargtypes::oid[]) || r.prorettype) type WHERE type >= 16384), '-')), \
    coalesce(part.how, r.how) \
  FROM runs r JOIN own ON own.oid = r.pronamespace \
  LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = r.oid \
  LEFT JOIN runs part ON part.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, \
    a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn) \
  WHERE r.prokind <> 'p' \
UNION ALL SELECT 'operator', own.nspname, o.oprname, \
    coalesce((SELECT string_agg(DISTINCT 'NULL::' || format_type(type, -1), ', ') \
      FROM unnest(ARRAY[o.oprleft, o.oprright, o.oprresult]) type WHERE type >= 16384), '-'), r.how \
  FROM pg_catalog.pg_operator o JOIN own ON own.oid = o.oprnamespace JOIN runs r ON r.oid = o.oprcode \
UNION ALL SELECT 'cast', own.nspname, r.proname, concat_ws(' ', c.castcontext, t.typname), r.how \
  FROM pg_catalog.pg_cast c JOIN runs r ON r.oid = c.castfunc JOIN own ON own.oid = r.pronamespace \
  JOIN pg_catalog.pg_type t ON t.oid = c.casttarget \
UNION ALL SELECT 'support', own.nspname, r.proname, '', r.how FROM pg_catalog.pg_amproc a \
  JOIN runs r ON r.oid = a.amproc JOIN own ON own.oid = r.pronamespace WHERE r.lanname NOT IN ('c', 'internal') \
UNION ALL SELECT 'type', own.nspname, t.typname, t.typtype::text, concat_ws(' AND ', (SELECT \
    string_agg('(' || pg_get_expr(k.conbin, 0) || ')', ' AND ') FROM pg_catalog.pg_constraint k \
    WHERE k.contypid = t.oid AND k.contype = 'c'), \
    (SELECT string_agg('NULL::' || format_type(within.type, -1) || ' IS NULL', ' AND ') FROM ( \
      SELECT t.typbasetype AS type WHERE t.typbasetype <> 0 \
      UNION SELECT t.typelem WHERE t.typelem <> 0 \
      UNION SELECT a.atttypid FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped \
      UNION SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) within \
      WHERE t.typtype = 'd' OR within.type >= 16384)) \
  FROM pg_catalog.pg_type t JOIN own ON own.oid = t.typnamespace WHERE t.typelem = 0 OR t.typlen > 0 \
UNION ALL SELECT 'relation', own.nspname, c.relname, CASE \
    WHEN c.relkind IN ('v', 'f') THEN c.relkind::text \
    WHEN c.relhasrules OR EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal) \
      OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.confrelid = c.oid AND k.contype = 'f' \
        AND (k.confdeltype NOT IN ('a', 'r') OR k.confupdtype NOT IN ('a', 'r'))) THEN 'runs' \
    WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attidentity <> '') THEN 'counts' \
    ELSE '' END, CASE c.relkind \
    WHEN 'v' THEN pg_get_viewdef(c.oid) WHEN 'f' THEN (SELECT w.fdwname FROM pg_catalog.pg_foreign_table f \
      JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver \
      JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE f.ftrelid = c.oid) ELSE concat_ws(', ', \
      (SELECT string_agg(pg_get_expr(d.adbin, c.oid), ', ') FROM pg_catalog.pg_attrdef d WHERE d.adrelid = c.oid), \
      (SELECT string_agg(pg_get_expr(k.conbin, c.oid), ', ') FROM pg_catalog.pg_constraint k \
        WHERE k.conrelid = c.oid AND k.contype = 'c'), \
      (SELECT string_agg(concat_ws(', ', pg_get_expr(i.indexprs, c.oid), pg_get_expr(i.indpred, c.oid)), ', ') \
        FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)), \
      (SELECT string_agg(concat_ws(', ', pg_get_expr(y.polqual, c.oid), pg_get_expr(y.polwithcheck, c.oid)), ', ') \
        FROM pg_catalog.pg_policy y WHERE y.polrelid = c.oid), \
      (SELECT string_agg('NULL::' || format_type(a.atttypid, -1), ', ') FROM pg_catalog.pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384)) END \
  FROM pg_catalog.pg_class c JOIN own ON own.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') \
UNION ALL SELECT 'child', pn.nspname, p.relname, cn.nspname, c.relname FROM pg_catalog.pg_inherits i \
  JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
  WHERE p.relkind IN ('r', 'p', 'f')";

/// What a session can hold that another would inherit, as PostgreSQL lists it. A Query's own portal
/// is not visible in `pg_cursors`; whatever lives in the temporary schema depends on it.
const LEFT_OVER: &str = "SELECT \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements) AS statements, \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors) AS cursors, \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_listening_channels()) AS channels, \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks \
       WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() \
         AND locktype OPERATOR(pg_catalog.=) 'advisory'::pg_catalog.text) AS locks, \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_depend \
       WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid \
         AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) AS temporary, \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_settings \
       WHERE source OPERATOR(pg_catalog.=) 'session'::pg_catalog.text) AS settings, ";

/// Who the session is, where that is who logged in.
const ROLES: &str = "\
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) \
       WHERE CURRENT_USER OPERATOR(pg_catalog.<>) SESSION_USER \
          OR SESSION_USER OPERATOR(pg_catalog.<>) pg_catalog.pg_get_userbyid(usesysid)) AS roles";

/// The same where it logged in with a role to take on.
const TAKEN_ROLES: &str = "\
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()), \
       pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'role'::pg_catalog.text \
         AND (CURRENT_USER OPERATOR(pg_catalog.<>) reset_val::pg_catalog.name \
          OR SESSION_USER OPERATOR(pg_catalog.<>) pg_catalog.pg_get_userbyid(usesysid))) AS roles";

impl Own {
    /// The SQL, statement by statement. The last of [`Own::Settings`] and [`Own::Restore`] is run for
    /// each setting, with name and value bound and not spelled.
    pub fn sql(&self) -> Vec<String> {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        match self {
            Self::Begin(begin) => vec![begin.sql()],
            Self::Rollback | Self::FenceClose | Self::LookClose => of(&["ROLLBACK"]),
            Self::Poison => of(&["SELECT 1 OPERATOR(pg_catalog./) 0 AS portcullis_denied"]),
            Self::Settings(_) => of(&["RESET ALL", SET_CONFIG]),
            Self::Restore(_) => of(&[SET_CONFIG]),
            Self::Probe => of(&["SELECT name, setting FROM pg_catalog.pg_settings \
                 WHERE source OPERATOR(pg_catalog.=) 'session'::pg_catalog.text"]),
            Self::Limit { time_outs, local } => vec![limit(*time_outs, *local)],
            Self::Unlimit { local } => vec![unlimit(*local)],
            Self::Ledger(..) => of(&[ledger::CLAIM]),
            Self::Fence(..) => of(&[ledger::FENCE]),
            Self::Install(logins) => vec![ledger::install(logins)],
            Self::FenceOpen => of(&["BEGIN READ ONLY"]),
            Self::SavepointOpen => of(&[
                "SAVEPOINT portcullis_fence",
                "SET LOCAL transaction_read_only = on",
            ]),
            Self::SavepointClose => of(&["RELEASE SAVEPOINT portcullis_fence"]),
            Self::SavepointUndo => of(&[
                "ROLLBACK TO SAVEPOINT portcullis_fence",
                "RELEASE SAVEPOINT portcullis_fence",
            ]),
            Self::LookOpen => of(&[
                "BEGIN READ ONLY",
                "SET LOCAL lock_timeout = '2s'",
                "SET LOCAL statement_timeout = '5s'",
            ]),
            Self::Discard => of(&["DISCARD ALL"]),
            Self::Tidy => of(&[
                "SELECT pg_catalog.pg_advisory_unlock_all()",
                "DISCARD SEQUENCES",
            ]),
            Self::Catalog => of(&[
                "BEGIN READ ONLY",
                "SET LOCAL search_path = ''",
                "SET LOCAL lock_timeout = '2s'",
                // It looks dear to the planner, and to compile it would take longer than to run it.
                "SET LOCAL jit = off",
                CATALOG,
                "ROLLBACK",
            ]),
            Self::SelfTest(question) => self_test(question),
            Self::Written => of(&[progress::WRITTEN]),
            Self::Replayed => of(&[progress::REPLAYED]),
            Self::Local => of(&[
                "BEGIN READ ONLY",
                "SET LOCAL search_path = ''",
                "SET LOCAL lock_timeout = '2s'",
                progress::LOCAL,
                "ROLLBACK",
            ]),
            Self::Verify => vec![format!("{LEFT_OVER}{ROLES}")],
            Self::VerifyRole => vec![format!("{LEFT_OVER}{TAKEN_ROLES}")],
            Self::Role => of(&["RESET ROLE"]),
        }
    }

    /// The values that are bound in its SQL.
    pub fn values(&self) -> Vec<String> {
        match self {
            Self::Ledger(nonce, ticket) => vec![nonce.literal(), ticket.to_string()],
            Self::Fence(key, ticket) => vec![key.literal(), ticket.to_string()],
            _ => Vec::new(),
        }
    }

    /// The portal that it runs in, in a segment; a named one must be closed. Inside a transaction the
    /// client's unnamed portal may be open, and it goes on.
    pub fn portal(&self) -> &'static str {
        match self {
            Self::SavepointOpen
            | Self::SavepointClose
            | Self::SavepointUndo
            | Self::Ledger(..)
            | Self::Poison => OWN_PORTAL,
            _ => "",
        }
    }

    /// Whether each of its statements goes up as a Query, with its own ReadyForQuery.
    pub fn goes_as_queries(&self) -> bool {
        let segment = matches!(
            self,
            Self::Settings(_) | Self::Restore(_) | Self::Probe | Self::Fence(..)
        );
        self.stands_alone() && !segment
    }

    /// Whether it is a Query (or a whole segment) of its own.
    pub fn stands_alone(&self) -> bool {
        matches!(
            self,
            Self::Begin(_)
                | Self::Rollback
                | Self::Settings(_)
                | Self::Restore(_)
                | Self::Probe
                | Self::Limit { .. }
                | Self::Unlimit { .. }
                | Self::Fence(..)
                | Self::SelfTest(_)
                | Self::Install(_)
                | Self::Discard
                | Self::Tidy
                | Self::Catalog
                | Self::Written
                | Self::Replayed
                | Self::Local
                | Self::Verify
                | Self::VerifyRole
                | Self::Role
        )
    }
}

/// Whatever time-outs a session has left behind are not its own.
fn self_test(question: &Question) -> Vec<String> {
    let before = [
        "BEGIN READ ONLY",
        "SET LOCAL search_path = pg_catalog, pg_temp",
        "SET LOCAL lock_timeout = '2s'",
        "SET LOCAL statement_timeout = '25s'",
        "SET LOCAL jit = off",
    ];
    let before = before.map(str::to_owned);
    let all = before.into_iter().chain([question.sql()]);
    all.chain(["ROLLBACK".to_owned()]).collect()
}

/// The settings that hold time-outs.
const TIME_OUTS: [&str; 2] = ["lock_timeout", "statement_timeout"];
/// What is told to be done must be on the server's disk (hazards R85).
const DURABLE: &str = "synchronous_commit";

fn limit(time_outs: TimeOuts, local: bool) -> String {
    let both = TIME_OUTS
        .into_iter()
        .zip([time_outs.lock_ms, time_outs.statement_ms]);
    let keep = |name| {
        format!(
            "pg_catalog.set_config('portcullis.{name}', pg_catalog.current_setting('{name}'), {local})"
        )
    };
    let durable = format!(
        "pg_catalog.set_config('{DURABLE}', CASE pg_catalog.current_setting('{DURABLE}') \
         WHEN 'off' THEN 'on' WHEN 'local' THEN 'on' ELSE pg_catalog.current_setting('{DURABLE}') END, {local})"
    );
    let columns = both.flat_map(|(name, ms)| {
        let keep = keep(name);
        let set = ms.map(|ms| format!("pg_catalog.set_config('{name}', '{ms}ms', {local})"));
        std::iter::once(keep).chain(set)
    });
    let columns = columns.chain([keep(DURABLE), durable]);
    format!("SELECT {}", columns.collect::<Vec<_>>().join(", "))
}

/// Where nothing was kept, as behind a ROLLBACK, what stands is set again.
fn unlimit(local: bool) -> String {
    // That of a transaction must still stand at its COMMIT, and ends with it.
    let durable = (!local).then_some(DURABLE);
    let columns = TIME_OUTS.into_iter().chain(durable).map(|name| {
        format!(
            "pg_catalog.set_config('{name}', CASE pg_catalog.length(pg_catalog.current_setting('portcullis.{name}', true)) \
             WHEN 0 THEN pg_catalog.current_setting('{name}') \
             ELSE COALESCE(pg_catalog.current_setting('portcullis.{name}', true), pg_catalog.current_setting('{name}')) \
             END, {local})"
        )
    });
    format!("SELECT {}", columns.collect::<Vec<_>>().join(", "))
}

impl Begin {
    fn sql(self) -> String {
        let mut sql = String::from("BEGIN");
        if let Some(isolation) = self.isolation {
            sql.push_str(" ISOLATION LEVEL ");
            sql.push_str(&crate::context::isolation_name(isolation).to_uppercase());
        }
        sql.push_str(match self.read_only {
            Some(true) => " READ ONLY",
            Some(false) => " READ WRITE",
            None => "",
        });
        sql.push_str(match self.deferrable {
            Some(true) => " DEFERRABLE",
            Some(false) => " NOT DEFERRABLE",
            None => "",
        });
        sql
    }
}
