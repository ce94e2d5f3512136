//! The target `frontend` for libFuzzer. It adds the committed seeds to the fuzzer's corpus, and no law.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{frontend, seeds};

fuzz_target!(init: seeds::write_for_a_fuzzer("frontend"), |bytes: &[u8]| frontend::target(bytes));
