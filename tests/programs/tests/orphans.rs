//! A program with `#[quitter::main(reap_orphans)]`, run as a process, and as the first process of a container.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../../common/mod.rs"]
mod common;

use std::process::Command;

use common::Process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orphans");

#[test]
fn a_subreaper_reaps_orphans_when_the_attribute_says_so() {
    let ended = Process::start(&mut Command::new(PROGRAM)).end();
    let ended = ended.with_code(0);
    assert_eq!(
        ended.stdout,
        "first process: false\nleft behind: true\nreaped\n"
    );
}

#[test]
fn the_first_process_of_a_container_reaps_orphans_when_the_attribute_says_so() {
    let container = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare
    };
    let is_allowed = container().arg("true").output();
    if !is_allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not make a container");
        return;
    }
    let ended = Process::start(container().arg(PROGRAM)).end().with_code(0);
    assert_eq!(
        ended.stdout,
        "first process: true\nleft behind: true\nreaped\n"
    );
}
