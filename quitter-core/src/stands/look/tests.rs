//! Looks at texts; `tests/stands.rs` looks at real threads.

use super::super::proc::tests::Texts;
use super::*;
use crate::report::path::QuitterPath;

const MOMENT: Duration = Duration::from_millis(1);
const PRIVATE: u64 = 128;

/// The arguments of a wait for a futex, with or without a time limit.
fn waits(address: u64, limit: u64) -> [u64; 6] {
    [address, PRIVATE, 2, limit, 0, 0]
}

fn look(texts: &Texts, threads: &[(u64, &str)]) -> Vec<Option<String>> {
    let path = QuitterPath::from("main/store".to_owned());
    let subjects = threads.iter().map(|(os_id, name)| Subject {
        os_id: *os_id,
        name,
        path: &path,
        before: None,
    });
    let subjects: Vec<_> = subjects.collect();
    let stands = at_threads(texts, &subjects, MOMENT);
    stands
        .into_iter()
        .map(|stands| Some(stands?.to_string()))
        .collect()
}

#[test]
fn those_that_wait_for_the_same_futex_name_each_other() {
    let texts = Texts::new()
        .in_call(7, libc::SYS_futex, waits(0x7f00, 0))
        .in_call(8, libc::SYS_futex, waits(0x7f00, 0x7e00))
        .in_call(9, libc::SYS_futex, waits(0x7f80, 0));
    let looked = look(&texts, &[(7, "flusher"), (8, "com\npactor"), (9, "other")]);
    assert_eq!(
        looked,
        [
            r"blocked in futex (a lock or condition, the same as 'com\npactor' of main/store)",
            "blocked in futex (a lock or condition, the same as 'flusher' of main/store, with a time \
             limit)",
            "blocked in futex (a lock or condition)",
        ]
        .map(|text| Some(text.to_owned()))
    );
}

#[test]
fn of_many_that_wait_for_the_same_futex_one_is_named() {
    let mut texts = Texts::new();
    for id in 1..=4 {
        texts = texts.in_call(id, libc::SYS_futex, waits(0x7f00, 0));
    }
    let looked = look(&texts, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
    let text = "blocked in futex (a lock or condition, the same as 'b' of main/store and 2 more)";
    assert_eq!(looked[0].as_deref(), Some(text));
}

#[test]
fn a_thread_that_is_gone_or_none_is_nothing() {
    let texts = Texts::new().in_call(7, libc::SYS_read, [0; 6]);
    let looked = look(&texts, &[(0, "task"), (8, "gone"), (7, "here")]);
    assert_eq!(looked[..2], [None, None]);
    assert_eq!(looked[2].as_deref(), Some("blocked in read (fd 0, stdin)"));
}

#[test]
fn the_proc_of_another_namespace_is_not_read() {
    let texts = Texts::new().in_call(7, libc::SYS_read, [0; 6]);
    assert!(look(&texts, &[(7, "here")])[0].is_some());
    let other = texts.link("/proc/self", "1");
    assert_eq!(look(&other, &[(7, "here")]), [None]);
    assert_eq!(look(&Texts::default(), &[(7, "here")]), [None]);
}

#[test]
fn a_running_thread_is_measured_from_a_recent_reading_on_without_a_pause() {
    const PAUSE: Duration = Duration::from_secs(60);
    let took = time_to_look_at_one_that_runs(Used::now(Duration::ZERO), PAUSE);
    assert!(took < PAUSE);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(2));
    let old = Used {
        at: long_ago.expect("the machine runs for longer"),
        cpu: Duration::ZERO,
    };
    let took = time_to_look_at_one_that_runs(old, MOMENT);
    assert!(took >= MOMENT);
}

fn time_to_look_at_one_that_runs(before: Used, moment: Duration) -> Duration {
    let thread = Subject {
        os_id: 7,
        name: "spins",
        path: &QuitterPath::from("main".to_owned()),
        before: Some(before),
    };
    let texts = Texts::new().file("/proc/self/task/7/syscall", "running\n");
    let from = Instant::now();
    let looked = at_threads(&texts, &[thread], moment);
    let took = from.elapsed();
    let cpu = Duration::ZERO;
    assert_eq!(looked, [Some(Stands::Running { cpu })]);
    took
}

#[test]
fn a_look_is_at_a_thousand_threads_at_most() {
    let mut texts = Texts::new();
    for id in 1..=1100 {
        texts = texts.in_call(id, libc::SYS_read, [9, 0, 0, 0, 0, 0]);
    }
    let threads: Vec<_> = (1..=1100).map(|id| (id, "reader")).collect();
    let looked = look(&texts, &threads);
    assert!(looked.iter().filter(|stands| stands.is_some()).count() <= MAX_THREADS);
    assert_eq!(looked[1099], None);
}

#[test]
fn another_process_is_read_in_its_own_folder() {
    let read = libc::SYS_read;
    let in_call = |stack: &str| {
        Texts::new()
            .file(
                "/proc/42/syscall",
                &format!("{read} 0x5 0x1 0x2 0x0 0x0 0x0 {stack} 0x1\n"),
            )
            .link("/proc/42/fd/5", "pipe:[1]")
    };
    let text = |texts: &Texts| Some(at_process(texts, 42, MOMENT)?.to_string());
    let (bits_64, bits_32) = (in_call("0x7ff000000000"), in_call("0xffff0000"));
    let (alike, foreign) = match cfg!(target_pointer_width = "32") {
        true => (bits_32, bits_64),
        false => (bits_64, bits_32),
    };
    let blocked = text(&alike);
    assert_eq!(blocked.as_deref(), Some("blocked in read (fd 5, a pipe)"));
    // The calls of the other kind of program have other numbers.
    let blocked = format!("blocked in call {read}");
    assert_eq!(text(&foreign), Some(blocked));
    assert_eq!(text(&Texts::new()), None);
}

#[test]
fn everyone_waits_only_if_nothing_outside_can_end_it() {
    let endless = || {
        Texts::new()
            .in_call(1, libc::SYS_futex, waits(0x7f00, 0))
            .in_call(2, libc::SYS_futex, waits(0x7f80, 0))
    };
    assert!(everyone_waits(&endless(), &[1, 2]));
    // The other thread is not a routine, but waits, too.
    assert!(everyone_waits(&endless(), &[1]));
    assert!(!everyone_waits(&endless(), &[1, 3]), "one is gone");
    let limited = endless().in_call(3, libc::SYS_futex, waits(0x7f00, 0x7e00));
    assert!(!everyone_waits(&limited, &[1, 2]));
    let shared = endless().in_call(3, libc::SYS_futex, [0x7f00, 0, 2, 0, 0, 0]);
    assert!(!everyone_waits(&shared, &[1, 2]));
    let reads = endless().in_call(3, libc::SYS_read, [0; 6]);
    assert!(!everyone_waits(&reads, &[1, 2]));
    let mut hidden = endless();
    hidden.threads.push(3);
    assert!(!everyone_waits(&hidden, &[1, 2]));
}
