//! The functions a read may call, by name and argument count, judged by hand; and the few that are known writes. It never
//! lists one that runs text it is given (`query_to_xml`, `ts_stat`), reads files, changes settings, signals or sleeps.
//!
//! Written `name/counts`: a call whose count no built-in of that name can take resolves to a user's function. `2+` is variadic.
//! The counts are those of `pg_proc` of 15, the oldest server: newer ones only add.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Text, bytes and regular expressions.
const STRING: &str = "\
    ascii/1 bit_count/1 bit_length/1 btrim/1,2 char_length/1 character_length/1 chr/1 \
    concat/1+ concat_ws/2+ convert/3 convert_from/2 convert_to/2 decode/2 encode/2 format/1,2+ \
    get_bit/2 get_byte/2 initcap/1 is_normalized/1,2 left/2 length/1,2 like/2 like_escape/2 \
    lower/1 lpad/2,3 ltrim/1,2 md5/1 normalize/1,2 notlike/2 octet_length/1 overlay/3,4 \
    parse_ident/1,2 pg_client_encoding/0 position/2 quote_ident/1 quote_literal/1 \
    quote_nullable/1 regexp_count/2,3,4 regexp_instr/2,3,4,5,6,7 regexp_like/2,3 \
    regexp_match/2,3 regexp_matches/2,3 regexp_replace/3,4,5,6 regexp_split_to_array/2,3 \
    regexp_split_to_table/2,3 regexp_substr/2,3,4,5,6 repeat/2 replace/3 reverse/1 right/2 \
    rpad/2,3 rtrim/1,2 set_bit/3 set_byte/3 sha224/1 sha256/1 sha384/1 sha512/1 \
    similar_escape/2 similar_to_escape/1,2 split_part/3 starts_with/2 string_to_array/2,3 \
    string_to_table/2,3 strpos/2 substr/2,3 substring/2,3 textlike/2 to_ascii/1,2 to_hex/1 \
    translate/3 unistr/1 upper/1";

/// Numbers. `random` is volatile and harmless.
const MATH: &str = "\
    abs/1 acos/1 acosd/1 asin/1 asind/1 atan/1 atan2/2 atan2d/2 atand/1 cbrt/1 ceil/1 \
    ceiling/1 cos/1 cosd/1 cosh/1 cot/1 degrees/1 div/2 exp/1 factorial/1 floor/1 gcd/2 lcm/2 \
    ln/1 log/1,2 log10/1 min_scale/1 mod/2 pi/0 pow/2 power/2 radians/1 random/0 round/1,2 \
    scale/1 sign/1 sin/1 sind/1 sinh/1 sqrt/1 tan/1 tand/1 tanh/1 trim_scale/1 trunc/1,2 \
    width_bucket/2,4";

/// Dates, times and series.
const TIME: &str = "\
    age/1,2 clock_timestamp/0 date/1 date_bin/3 date_part/2 date_trunc/2,3 extract/2 \
    generate_series/2,3 isfinite/1 justify_days/1 justify_hours/1 justify_interval/1 \
    make_date/3 make_interval/0,1,2,3,4,5,6,7 make_time/3 make_timestamp/6 \
    make_timestamptz/6,7 now/0 overlaps/4 statement_timestamp/0 timeofday/0 timezone/2 \
    to_char/2 to_date/2 to_number/2 to_timestamp/1,2 transaction_timestamp/0";

/// Aggregates; the arguments of WITHIN GROUP count.
const AGGREGATE: &str = "\
    array_agg/1 avg/1 bit_and/1 bit_or/1 bit_xor/1 bool_and/1 bool_or/1 corr/2 count/0,1 \
    covar_pop/2 covar_samp/2 every/1 json_agg/1 json_object_agg/2 jsonb_agg/1 \
    jsonb_object_agg/2 max/1 min/1 mode/1 percentile_cont/2 percentile_disc/2 range_agg/1 \
    range_intersect_agg/1 regr_avgx/2 regr_avgy/2 regr_count/2 regr_intercept/2 regr_r2/2 \
    regr_slope/2 regr_sxx/2 regr_sxy/2 regr_syy/2 stddev/1 stddev_pop/1 stddev_samp/1 \
    string_agg/2 sum/1 var_pop/1 var_samp/1 variance/1";

/// Window functions (and the hypothetical-set aggregates of the same names).
const WINDOW: &str = "\
    cume_dist/0,1+ dense_rank/0,1+ first_value/1 lag/1,2,3 last_value/1 lead/1,2,3 nth_value/2 \
    ntile/1 percent_rank/0,1+ rank/0,1+ row_number/0";

/// JSON. Not here: `json_populate_record` and its family, which cast to whatever type their argument has.
const JSON: &str = "\
    array_to_json/1,2 json_array_elements/1 json_array_elements_text/1 json_array_length/1 \
    json_build_array/0,1+ json_build_object/0,1+ json_each/1 json_each_text/1 \
    json_extract_path/2+ json_extract_path_text/2+ json_object/1,2 json_object_keys/1 \
    json_strip_nulls/1 json_to_record/1 json_to_recordset/1 json_typeof/1 \
    jsonb_array_elements/1 jsonb_array_elements_text/1 jsonb_array_length/1 \
    jsonb_build_array/0,1+ jsonb_build_object/0,1+ jsonb_each/1 jsonb_each_text/1 \
    jsonb_extract_path/2+ jsonb_extract_path_text/2+ jsonb_insert/3,4 jsonb_object/1,2 \
    jsonb_object_keys/1 jsonb_path_exists/2,3,4 jsonb_path_exists_tz/2,3,4 \
    jsonb_path_match/2,3,4 jsonb_path_match_tz/2,3,4 jsonb_path_query/2,3,4 \
    jsonb_path_query_array/2,3,4 jsonb_path_query_array_tz/2,3,4 jsonb_path_query_first/2,3,4 \
    jsonb_path_query_first_tz/2,3,4 jsonb_path_query_tz/2,3,4 jsonb_pretty/1 jsonb_set/3,4 \
    jsonb_set_lax/3,4,5 jsonb_strip_nulls/1 jsonb_to_record/1 jsonb_to_recordset/1 \
    jsonb_typeof/1 row_to_json/1,2 to_json/1 to_jsonb/1";

/// Arrays and argument lists.
const ARRAY: &str = "\
    array_append/2 array_cat/2 array_dims/1 array_fill/2,3 array_length/2 array_lower/2 \
    array_ndims/1 array_position/2,3 array_positions/2 array_prepend/2 array_remove/2 \
    array_replace/3 array_to_string/2,3 array_upper/2 cardinality/1 generate_subscripts/2,3 \
    num_nonnulls/1+ num_nulls/1+ trim_array/2 unnest/1";

/// Ranges.
const RANGE: &str = "\
    daterange/2,3 int4range/2,3 int8range/2,3 isempty/1 lower_inc/1 lower_inf/1 multirange/1 \
    numrange/2,3 range_merge/1,2 tsrange/2,3 tstzrange/2,3 upper_inc/1 upper_inf/1";

/// Text search. Not here: `ts_stat` and `ts_rewrite`, which run a query given as text.
const TEXT_SEARCH: &str = "\
    array_to_tsvector/1 get_current_ts_config/0 numnode/1 phraseto_tsquery/1,2 \
    plainto_tsquery/1,2 querytree/1 setweight/2,3 strip/1 to_tsquery/1,2 to_tsvector/1,2 \
    ts_delete/2 ts_filter/2 ts_headline/2,3,4 ts_lexize/2 ts_parse/2 ts_rank/2,3,4 \
    ts_rank_cd/2,3,4 ts_token_type/1 tsquery_phrase/2,3 tsvector_to_array/1 \
    websearch_to_tsquery/1,2";

/// Networks, geometry, enums, and types that are called like functions.
const KIND: &str = "\
    abbrev/1 area/1 bool/1 box/1,2 bpchar/1,3 broadcast/1 center/1 circle/1,2 diameter/1 \
    enum_first/1 enum_last/1 enum_range/1,2 family/1 float4/1 float8/1 gen_random_uuid/0 \
    height/1 host/1 hostmask/1 inet_merge/2 inet_same_family/2 int2/1 int4/1 int8/1 \
    interval/1,2 masklen/1 name/1 netmask/1 network/1 numeric/1,2 oid/1 point/1,2 \
    set_masklen/2 text/1 time/1,2 timestamp/1,2 timestamptz/1,2 varchar/1,3 width/1";

/// Facts about the session and the server.
const SESSION: &str = "\
    current_database/0 current_query/0 current_schema/0 current_schemas/1 current_setting/1,2 \
    inet_client_addr/0 inet_client_port/0 inet_server_addr/0 inet_server_port/0 \
    pg_backend_pid/0 pg_conf_load_time/0 pg_current_xact_id_if_assigned/0 pg_is_in_recovery/0 \
    pg_jit_available/0 pg_my_temp_schema/0 pg_postmaster_start_time/0 pg_trigger_depth/0 \
    row_security_active/1 txid_current_if_assigned/0 version/0";

/// Descriptions of objects, sizes and privileges. The sizes are volatile and harmless.
const CATALOG: &str = "\
    acldefault/2 aclexplode/1 col_description/2 format_type/2 getdatabaseencoding/0 \
    has_any_column_privilege/2,3 has_column_privilege/3,4 has_database_privilege/2,3 \
    has_foreign_data_wrapper_privilege/2,3 has_function_privilege/2,3 \
    has_language_privilege/2,3 has_parameter_privilege/2,3 has_schema_privilege/2,3 \
    has_sequence_privilege/2,3 has_server_privilege/2,3 has_table_privilege/2,3 \
    has_tablespace_privilege/2,3 has_type_privilege/2,3 obj_description/1,2 pg_blocking_pids/1 \
    pg_char_to_encoding/1 pg_collation_for/1 pg_collation_is_visible/1 pg_column_compression/1 \
    pg_column_is_updatable/3 pg_column_size/1 pg_conversion_is_visible/1 pg_current_wal_lsn/0 \
    pg_database_size/1 pg_describe_object/3 pg_encoding_max_length/1 pg_encoding_to_char/1 \
    pg_filenode_relation/2 pg_function_is_visible/1 pg_get_catalog_foreign_keys/0 \
    pg_get_constraintdef/1,2 pg_get_expr/2,3 pg_get_function_arg_default/2 \
    pg_get_function_arguments/1 pg_get_function_identity_arguments/1 pg_get_function_result/1 \
    pg_get_function_sqlbody/1 pg_get_functiondef/1 pg_get_indexdef/1,3 pg_get_keywords/0 \
    pg_get_partition_constraintdef/1 pg_get_partkeydef/1 pg_get_publication_tables/1 \
    pg_get_ruledef/1,2 pg_get_serial_sequence/2 pg_get_statisticsobjdef/1 \
    pg_get_statisticsobjdef_columns/1 pg_get_statisticsobjdef_expressions/1 \
    pg_get_triggerdef/1,2 pg_get_userbyid/1 pg_get_viewdef/1,2 pg_has_role/2,3 \
    pg_identify_object/3 pg_index_column_has_property/3 pg_index_has_property/2 \
    pg_indexam_has_property/2 pg_indexes_size/1 pg_is_other_temp_schema/1 \
    pg_last_wal_receive_lsn/0 pg_last_wal_replay_lsn/0 pg_last_xact_replay_timestamp/0 \
    pg_opclass_is_visible/1 pg_operator_is_visible/1 pg_opfamily_is_visible/1 \
    pg_options_to_table/1 pg_partition_ancestors/1 pg_partition_root/1 pg_partition_tree/1 \
    pg_relation_filenode/1 pg_relation_filepath/1 pg_relation_is_publishable/1 \
    pg_relation_is_updatable/2 pg_relation_size/1,2 pg_sequence_last_value/1 \
    pg_sequence_parameters/1 pg_size_bytes/1 pg_size_pretty/1 pg_statistics_obj_is_visible/1 \
    pg_table_is_visible/1 pg_table_size/1 pg_tablespace_databases/1 pg_tablespace_location/1 \
    pg_tablespace_size/1 pg_total_relation_size/1 pg_ts_config_is_visible/1 \
    pg_ts_dict_is_visible/1 pg_ts_parser_is_visible/1 pg_ts_template_is_visible/1 \
    pg_type_is_visible/1 pg_typeof/1 pg_wal_lsn_diff/2 shobj_description/2 to_regclass/1 \
    to_regcollation/1 to_regnamespace/1 to_regoper/1 to_regoperator/1 to_regproc/1 \
    to_regprocedure/1 to_regrole/1 to_regtype/1";

/// Known, and a write: sequences, notifications, advisory locks.
const WRITING: &str = "\
    nextval/1 pg_advisory_lock/1,2 pg_advisory_lock_shared/1,2 pg_advisory_unlock/1,2 \
    pg_advisory_unlock_all/0 pg_advisory_unlock_shared/1,2 pg_advisory_xact_lock/1,2 \
    pg_advisory_xact_lock_shared/1,2 pg_notify/2 pg_try_advisory_lock/1,2 \
    pg_try_advisory_lock_shared/1,2 pg_try_advisory_xact_lock/1,2 \
    pg_try_advisory_xact_lock_shared/1,2 setval/2,3";

/// Of information_schema: what drivers call when they ask for keys.
const INFORMATION_SCHEMA: &str = "_pg_expandarray/1";

/// What is known of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// Harmless.
    Reads,
    /// A write.
    Writes,
    /// No built-in of this name takes so many arguments.
    OtherCount,
    /// On no list.
    No,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Bit n: n arguments are taken.
    counts: u64,
    writes: bool,
}

static PG_CATALOG: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let reads = [
        STRING,
        MATH,
        TIME,
        AGGREGATE,
        WINDOW,
        JSON,
        ARRAY,
        RANGE,
        TEXT_SEARCH,
        KIND,
        SESSION,
        CATALOG,
    ];
    let mut table: HashMap<_, _> = reads.iter().flat_map(|list| entries(list, false)).collect();
    table.extend(entries(WRITING, true));
    table
});

static INFORMATION: LazyLock<HashMap<&'static str, Entry>> =
    LazyLock::new(|| entries(INFORMATION_SCHEMA, false).collect());

/// What is known of calling the function with these name parts and so many arguments. With `VARIADIC array` the array stands
/// for any number of them.
pub(crate) fn known(parts: &[String], args: usize, variadic: bool) -> Known {
    let entry = match parts {
        [schema, name] if schema == "information_schema" => INFORMATION.get(name.as_str()),
        _ => super::names::bare(parts).and_then(|name| PG_CATALOG.get(name)),
    };
    let Some(entry) = entry else {
        return Known::No;
    };
    let bits = u32::try_from(args).unwrap_or(u32::MAX);
    let taken = if variadic {
        entry.counts >> 63 == 1
    } else {
        entry
            .counts
            .checked_shr(bits.min(63))
            .is_some_and(|rest| rest & 1 == 1)
    };
    match (taken, entry.writes) {
        (false, _) => Known::OtherCount,
        (true, false) => Known::Reads,
        (true, true) => Known::Writes,
    }
}

fn entries(list: &'static str, writes: bool) -> impl Iterator<Item = (&'static str, Entry)> {
    list.split_whitespace().filter_map(move |word| {
        let (name, counts) = word.split_once('/')?;
        Some((
            name,
            Entry {
                counts: bits(counts)?,
                writes,
            },
        ))
    })
}

/// `0,2+` as bits 0 and 2 to 63.
fn bits(counts: &str) -> Option<u64> {
    counts
        .split(',')
        .try_fold(0, |all, count| match count.strip_suffix('+') {
            Some(from) => Some(all | u64::MAX.checked_shl(from.parse().ok()?)?),
            None => Some(all | 1_u64.checked_shl(count.parse().ok()?)?),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_well_formed_and_named_once() {
        let lists = [
            STRING,
            MATH,
            TIME,
            AGGREGATE,
            WINDOW,
            JSON,
            ARRAY,
            RANGE,
            TEXT_SEARCH,
            KIND,
            SESSION,
            CATALOG,
            WRITING,
        ];
        let words = lists
            .iter()
            .flat_map(|list| list.split_whitespace())
            .count();
        assert_eq!(words, PG_CATALOG.len());
        assert_eq!(INFORMATION.len(), 1);
    }

    #[test]
    fn counts_decide() {
        let call = |name: &str, args| known(&[name.to_owned()], args, false);
        assert_eq!(call("lower", 1), Known::Reads);
        assert_eq!(call("lower", 2), Known::OtherCount);
        assert_eq!(call("concat", 0), Known::OtherCount);
        assert_eq!(call("concat", 99), Known::Reads);
        assert_eq!(call("count", 0), Known::Reads);
        assert_eq!(call("nextval", 1), Known::Writes);
        assert_eq!(call("billing", 1), Known::No);
        let public = ["public".to_owned(), "lower".to_owned()];
        assert_eq!(known(&public, 1, false), Known::No);
        assert_eq!(known(&["concat".to_owned()], 1, true), Known::Reads);
        assert_eq!(known(&["lower".to_owned()], 1, true), Known::OtherCount);
    }
}
