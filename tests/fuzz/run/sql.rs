//! The target `sql` for libFuzzer. It adds the committed seeds to the fuzzer's corpus, and no law.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{seeds, sql_text};

fuzz_target!(init: seeds::write_for_a_fuzzer("sql"), |bytes: &[u8]| sql_text::target(bytes));
