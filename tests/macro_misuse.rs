//! The attributes reject misuse with a helpful error, and accept proper use without a warning. Methods of
//! features that are off give a helpful error, too.

#![cfg(feature = "macros")]

use std::path::Path;
use std::process::Command;

/// The compiler whose messages `tests/ui` expects; others word them differently.
const COMPILER: &str = "rustc 1.95.";

fn is_pinned_compiler() -> bool {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output();
    version.is_ok_and(|output| output.stdout.starts_with(COMPILER.as_bytes()))
}

#[test]
fn misuse_is_answered_with_one_error_that_says_what_to_write() {
    if is_pinned_compiler() {
        let cases = trybuild::TestCases::new();
        cases.compile_fail("tests/ui/*.rs");
        for (feature, is_on) in [
            ("io", cfg!(feature = "io")),
            ("process", cfg!(feature = "process")),
            ("stacks", cfg!(feature = "stacks")),
            ("tokio", cfg!(feature = "tokio")),
            ("tracing", cfg!(feature = "tracing")),
        ] {
            let without = if is_on { "" } else { "without_" };
            let folder = format!("tests/ui/{without}{feature}");
            // A feature that is on may have no cases.
            if Path::new(&folder).is_dir() {
                cases.compile_fail(format!("{folder}/*.rs"));
            }
        }
    } else {
        eprintln!("skipped: the expected messages are those of {COMPILER}*");
    }
}

#[test]
fn proper_use_compiles_under_denied_lints_and_runs() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
