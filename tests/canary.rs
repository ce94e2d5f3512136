//! `make canary`: shows, message by message, that nothing runs before it is approved.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::process::ExitCode;

use harness::canary::{self, ENDS, Effects, SHAPES};

/// Runs every shape to every end and prints what there was before and after.
fn main() -> ExitCode {
    println!("effects of a function that writes at Bind, before -> after the hold ends\n");
    let line = |name: &str, cells: [String; 4]| {
        let [approve, reject, cancel, disconnect] = cells;
        println!("{name:<32} {approve:<10} {reject:<10} {cancel:<10} {disconnect}");
    };
    let ends = ENDS.map(|end| format!("{end:?}").to_lowercase());
    line("", ends);
    let stage = canary::stage();
    let mut before = 0;
    let mut failed = Vec::new();
    for shape in SHAPES {
        let found = ENDS.map(|end| {
            let effects = canary::run(&stage, shape, end);
            before += effects.before;
            if effects != Effects::expected(end) {
                failed.push(format!("{}, {end:?}: {effects:?}", shape.name));
            }
            effects.to_string()
        });
        line(shape.name, found);
    }
    println!(
        "\ncanary: {} shapes x {} ends, {before} effects before approval",
        SHAPES.len(),
        ENDS.len()
    );
    for failure in &failed {
        println!("failed: {failure}");
    }
    ExitCode::from(u8::from(!failed.is_empty()))
}
