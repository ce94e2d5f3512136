//! What the gate asks servers of their logs, in constant SQL that anybody may ask. It never says what an answer means.

/// How far the log is written, commits that are not on disk yet included (hazards R120); the size of its pages; the timeline, as
/// the name of a file begins with it; the cluster.
pub(crate) const WRITTEN: &str = "SELECT \
     pg_catalog.pg_wal_lsn_diff(here.lsn, '0/0'::pg_catalog.pg_lsn)::pg_catalog.text, \
     pg_catalog.current_setting('wal_block_size'), \
     pg_catalog.substr(pg_catalog.pg_walfile_name(here.lsn), 1, 8), \
     cluster.system_identifier::pg_catalog.text \
   FROM (SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn) here, pg_catalog.pg_control_system() cluster";

/// How far that is replayed; the newest timeline that the server knows to follow, of its receiver where the role may see that (a
/// member of pg_monitor), else of its last restart point; whether it follows at all; the cluster; and how its transactions begin.
pub(crate) const REPLAYED: &str = "SELECT \
     pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0'::pg_catalog.pg_lsn)::pg_catalog.text, \
     GREATEST((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), \
       (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()), \
       (SELECT received_tli FROM pg_catalog.pg_stat_get_wal_receiver()))::pg_catalog.text, \
     pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
     (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()), \
     pg_catalog.current_setting('default_transaction_isolation')";

/// Relations that are not in the log, or ahead in it, and views and parents that show them.
pub(crate) const LOCAL: &str = "\
WITH RECURSIVE shown AS (\
    SELECT d.refobjid AS below, r.ev_class AS above FROM pg_catalog.pg_depend d \
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid \
      WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
    UNION ALL SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i), \
local AS (\
    SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 'S' OR c.relpersistence = 'u' \
    UNION SELECT shown.above FROM local JOIN shown ON shown.below = local.oid) \
SELECT DISTINCT c.relname FROM pg_catalog.pg_class c JOIN local ON local.oid = c.oid \
  WHERE c.relkind IN ('S', 'r', 'p', 'v', 'm')";
