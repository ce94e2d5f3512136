//! The target `backend` for libFuzzer. It adds the committed seeds to the fuzzer's corpus, and no law.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{backend, seeds};

fuzz_target!(init: seeds::write_for_a_fuzzer("backend"), |bytes: &[u8]| backend::target(bytes));
