//! The target `startup` for libFuzzer. It adds the committed seeds to the fuzzer's corpus, and no law.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{seeds, startup};

fuzz_target!(init: seeds::write_for_a_fuzzer("startup"), |bytes: &[u8]| startup::target(bytes));
