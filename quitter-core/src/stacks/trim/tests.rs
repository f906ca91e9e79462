use super::*;

fn call(function: &str) -> Call {
    Call {
        function: Some(function.to_owned()),
        file: Some("/home/me/store/src/store.rs".to_owned()),
        line: Some(88),
        module: Some("store".to_owned()),
        offset: 0x1a2b,
    }
}

fn trimmed(functions: &[&str]) -> Vec<String> {
    let calls = functions.iter().map(|function| call(function)).collect();
    let frames = trim(calls, false);
    frames.into_iter().map(|frame| frame.function).collect()
}

#[test]
fn only_the_call_that_waits_and_the_programs_own_calls_are_kept() {
    let frames = trimmed(&[
        "syscall",
        "std::sys::pal::unix::futex::futex_wait",
        "std::sys::sync::mutex::futex::Mutex::lock_contended",
        "std::sync::poison::mutex::Mutex<T>::lock",
        "store::flush_to_disk",
        "core::iter::traits::iterator::Iterator::for_each",
        "store::flusher",
        "core::ops::function::FnOnce::call_once",
        "quitter_core::routine::live::Live::run::{{closure}}",
        "std::panicking::catch_unwind",
        "std::sys::thread::unix::Thread::new::thread_start",
    ]);
    assert_eq!(
        frames,
        // "syscall" without one of the system's modules may be anybody's.
        ["syscall", "store::flush_to_disk", "store::flusher"]
    );
    let frames = trimmed(&[
        "std::sys::pal::unix::futex::futex_wait",
        "std::sync::poison::mutex::Mutex<T>::lock",
        "store::flush_to_disk",
    ]);
    assert_eq!(frames, ["std::sync::Mutex::lock", "store::flush_to_disk"]);
}

#[test]
fn blocking_io_is_shown_as_the_call_of_quitters() {
    for (inner, shown) in [
        (
            "<quitter_core::io::interruptible::Interruptible<S> as std::io::Read>::read",
            "quitter::Interruptible::read",
        ),
        (
            "<quitter_core::io::incoming::Incoming<L> as core::iter::Iterator>::next",
            "quitter::Incoming::next",
        ),
        (
            "quitter_core::io::methods::<impl quitter_core::quitter::Quitter>::wait_readable",
            "quitter::Quitter::wait_readable",
        ),
        // Line tables alone.
        (
            "quitter_core::io::methods::wait_readable",
            "quitter::wait_readable",
        ),
    ] {
        let frames = trimmed(&[
            "rustix::backend::event::syscalls::poll",
            "rustix::event::poll::poll",
            "quitter_core::io::Caller::wait",
            inner,
            "store::client",
        ]);
        assert_eq!(frames, [shown, "store::client"]);
    }
}

#[test]
fn a_routine_that_is_a_call_of_std_shows_that_call() {
    let frames = trimmed(&[
        "std::sys::pal::unix::futex::futex_wait",
        "std::thread::functions::park",
        "core::ops::function::FnOnce::call_once",
        "quitter_core::routine::live::Live::call",
    ]);
    assert_eq!(frames, ["std::thread::park"]);
    assert_eq!(
        trimmed(&["core::ops::function::FnOnce::call_once"]).len(),
        1
    );
    assert!(trimmed(&[]).is_empty());
}

#[test]
fn what_a_task_awaits_is_shown_as_the_call_that_the_program_made() {
    let in_tokio = |function: &str, file: &str| Call {
        file: Some(format!(
            "/home/me/.cargo/registry/src/index-1/tokio-1.54.1/src/{file}"
        )),
        ..call(function)
    };
    let names = |calls: Vec<Call>| -> Vec<_> {
        let frames = trim(calls, true);
        frames.into_iter().map(|frame| frame.function).collect()
    };
    let frames = names(vec![
        call("<core::task::wake::Waker as core::clone::Clone>::clone"),
        in_tokio(
            "tokio::sync::batch_semaphore::Semaphore::poll_acquire",
            "sync/batch_semaphore.rs",
        ),
        in_tokio(
            "tokio::sync::mutex::Mutex<T>::lock::{{closure}}",
            "sync/mutex.rs",
        ),
        call("store::flush::{{closure}}"),
        in_tokio("store::run::{{closure}}::{{closure}}", "macros/join.rs"),
        call("<core::future::poll_fn::PollFn<F> as core::future::future::Future>::poll"),
        call("store::run::{{closure}}"),
        call("quitter_core::stacks::tasks::Polls::poll"),
    ]);
    assert_eq!(
        frames,
        ["tokio::sync::Mutex::lock", "store::flush", "store::run"]
    );
    for (long, short) in [
        (
            "<tokio::time::sleep::Sleep as core::future::future::Future>::poll",
            "tokio::time::sleep",
        ),
        (
            "tokio::net::tcp::listener::TcpListener::accept::{{closure}}",
            "tokio::net::TcpListener::accept",
        ),
        (
            "tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}",
            "tokio::sync::mpsc::Receiver::recv",
        ),
        (
            "tokio::task::yield_now::yield_now::{{closure}}",
            "tokio::task::yield_now",
        ),
        (
            "<tokio::io::util::read_exact::ReadExact<A> as F>::poll",
            "tokio::io::read_exact",
        ),
        (
            "tokio::task::join_set::JoinSet<T>::join_next::{{closure}}",
            "tokio::task::JoinSet::join_next",
        ),
        ("tokio", "tokio"),
        ("{async_fn#0}", "async fn"),
        ("{async_block#1}", "async block"),
    ] {
        let frames = names(vec![call(long), call("store::run::{{closure}}")]);
        assert_eq!(frames[0], short);
    }
    let timeout =
        || call("<tokio::time::timeout::Timeout<F> as core::future::future::Future>::poll");
    let sleep = || call("<tokio::time::sleep::Sleep as core::future::future::Future>::poll");
    assert_eq!(names(vec![sleep(), timeout()]), ["tokio::time::timeout"]);
    let lock = || call("tokio::sync::mutex::Mutex<T>::lock::{{closure}}");
    assert_eq!(
        names(vec![lock(), timeout(), timeout()]),
        ["tokio::sync::Mutex::lock"]
    );
    let plumbing = Call {
        function: Some("<tower::Oneshot<S, R> as core::future::future::Future>::poll".to_owned()),
        file: Some("/home/me/.cargo/registry/src/index-1/tower-0.5.3/src/oneshot.rs".to_owned()),
        ..call("")
    };
    let own = call("store::run::{{closure}}");
    assert_eq!(
        names(vec![lock(), plumbing.clone(), own.clone()]),
        ["tokio::sync::Mutex::lock", "store::run"]
    );
    assert_eq!(
        names(vec![plumbing, own]),
        ["tower::Oneshot::poll", "store::run"]
    );
}

#[test]
fn line_tables_without_paths_are_trimmed_by_their_files() {
    let at = |function: &str, file: &str| Call {
        file: Some(file.to_owned()),
        ..call(function)
    };
    let registry = "/home/me/.cargo/registry/src/index-1";
    let frames = trim(
        vec![
            at(
                "futex_wait",
                "/rustc/0123/library/std/src/sys/pal/unix/futex.rs",
            ),
            at("lock", "/rustc/0123/library/std/src/sync/poison/mutex.rs"),
            at(
                "{closure#0}<a::T>",
                &format!("{registry}/db-pool-1.0.2/src/flush/mod.rs"),
            ),
            at("flush", "/home/me/store/src/store.rs"),
            at("call_once", "/rustc/0123/library/core/src/ops/function.rs"),
            at(
                "run",
                &format!("{registry}/quitter-core-0.1.0/src/routine/live.rs"),
            ),
            at(
                "catch",
                "/home/me/quitter/quitter-core/src/routine/panics.rs",
            ),
        ],
        false,
    );
    let names: Vec<_> = frames.iter().map(|frame| &frame.function[..]).collect();
    assert_eq!(
        names,
        ["std::sync::lock", "db_pool::flush::{closure#0}", "flush"]
    );
}

#[test]
fn code_without_names_is_shown_by_module_and_offset() {
    let unnamed = |module: Option<&str>| Call {
        function: None,
        module: module.map(str::to_owned),
        ..call("")
    };
    let frames = trim(
        vec![
            unnamed(Some("libc.so.6")),
            unnamed(Some("store")),
            unnamed(None),
        ],
        false,
    );
    let names: Vec<_> = frames.iter().map(|frame| &frame.function[..]).collect();
    assert_eq!(names, ["libc.so.6+0x1a2b", "store+0x1a2b", "0x1a2b"]);
}

#[test]
fn a_file_from_a_registry_begins_with_its_crate() {
    let mut of_db = call("db::read");
    of_db.file = Some("/home/me/.cargo/registry/src/index-1/db-1.0.2/src/lib.rs".to_owned());
    let frames = trim(vec![of_db], false);
    assert_eq!(frames[0].file.as_deref(), Some("db-1.0.2/src/lib.rs"));
}

#[test]
fn a_channel_or_lock_of_a_library_is_the_one_call_that_waits() {
    let frames = trimmed(&[
        "std::thread::functions::park",
        "crossbeam_channel::context::Context::wait_until",
        "crossbeam_channel::flavors::list::Channel<T>::recv",
        "crossbeam_channel::channel::Receiver<T>::recv",
        "store::flusher",
    ]);
    assert_eq!(
        frames,
        ["crossbeam_channel::Receiver::recv", "store::flusher"]
    );
    let frames = trimmed(&[
        "parking_lot::raw_mutex::RawMutex::lock_slow",
        "lock_api::mutex::Mutex<R,T>::lock",
        "store::flusher",
    ]);
    assert_eq!(frames, ["lock_api::mutex::Mutex::lock", "store::flusher"]);
}

#[test]
fn what_optimization_leaves_of_a_call_has_the_name_of_the_call() {
    for (left, public) in [
        (
            "std::sys::sync::mutex::futex::Mutex::lock_contended",
            "std::sync::Mutex::lock",
        ),
        (
            "std::sys::sync::rwlock::futex::RwLock::read_contended",
            "std::sync::RwLock::read",
        ),
        (
            "std::sys::sync::condvar::futex::Condvar::wait",
            "std::sync::Condvar::wait",
        ),
        (
            "std::sync::mpmc::list::Channel<T>::recv",
            "std::sync::mpsc::Receiver::recv",
        ),
        (
            "std::sync::mpmc::zero::Channel<T>::send",
            "std::sync::mpsc::SyncSender::send",
        ),
        (
            "std::sync::mpmc::Receiver<T>::recv_timeout",
            "std::sync::mpsc::Receiver::recv_timeout",
        ),
        (
            "crossbeam_channel::flavors::zero::Channel<T>::recv",
            "crossbeam_channel::Receiver::recv",
        ),
        (
            "crossbeam_channel::flavors::array::Channel<T>::send",
            "crossbeam_channel::Sender::send",
        ),
        (
            "crossbeam_channel::select::run_select",
            "crossbeam_channel::select",
        ),
        (
            "quitter_core::tree::node::Node::wait_quit",
            "quitter::Quitter::wait_quit",
        ),
        (
            "quitter_core::routine::handle::wait_for",
            "quitter::RoutineHandle::wait",
        ),
    ] {
        assert_eq!(
            trimmed(&[left, "store::flusher"]),
            [public, "store::flusher"]
        );
    }
    for (left, public) in [
        ("__GI___libc_read", "read"),
        ("__GI___poll", "poll"),
        ("syscall", "syscall"),
    ] {
        let inner = Call {
            module: Some("libc.so.6".to_owned()),
            ..call(left)
        };
        let frames = trim(vec![inner, call("store::flusher")], false);
        assert_eq!(frames[0].function, public);
    }
}

#[test]
fn a_wait_behind_iterators_is_that_of_the_innermost_iterator() {
    for adapters in [
        &["core::iter::adapters::enumerate::Enumerate<I>::next"][..],
        &[
            "core::iter::adapters::map::Map<I,F>::next",
            "alloc::vec::Vec<T>::from_iter",
            "core::iter::traits::iterator::Iterator::collect",
        ],
        &[
            "alloc::vec::Vec<T,A>::extend_desugared",
            "alloc::vec::Vec<T,A>::extend",
        ],
    ] {
        for (next, shown) in [
            (
                "<crossbeam_channel::channel::Iter<T> as core::iter::Iterator>::next",
                "crossbeam_channel::Iter::next",
            ),
            (
                "<std::sync::mpsc::IntoIter<T> as core::iter::Iterator>::next",
                "std::sync::mpsc::IntoIter::next",
            ),
            (
                "<quitter_core::routine::ticks::Ticks as core::iter::Iterator>::next",
                "quitter::Ticks::next",
            ),
        ] {
            let mut calls = vec!["std::thread::functions::park", next];
            calls.extend(adapters);
            calls.push("store::run");
            assert_eq!(trimmed(&calls), [shown, "store::run"]);
        }
    }
    // This call gets its items from no other.
    let sums = "core::iter::traits::iterator::Iterator::sum";
    assert_eq!(trimmed(&[sums, "store::run"]), [sums, "store::run"]);
    let extends = [
        "std::sys::alloc::unix::alloc",
        "alloc::vec::Vec<T,A>::extend",
        "store::run",
    ];
    assert_eq!(trimmed(&extends), ["alloc::vec::Vec::extend", "store::run"]);
}

#[test]
fn an_async_main_that_no_thread_polls_shows_what_its_thread_waits_in() {
    let frames = trimmed(&[
        "std::thread::functions::park",
        "tokio::runtime::park::CachedParkThread::block_on",
        "tokio::runtime::runtime::Runtime::block_on",
        "quitter_core::on_tokio::run::<impl quitter_core::main_quitter::builder::MainQuitterBuilder>::run_async::{{closure}}",
        "quitter_core::main_quitter::run::Program::run",
        "quitter_core::on_tokio::run::<impl quitter_core::main_quitter::builder::MainQuitterBuilder>::run_async",
        "store::main",
    ]);
    assert_eq!(frames, ["tokio::runtime::Runtime::block_on", "store::main"]);
}

#[test]
fn calls_of_quitters_have_their_public_names() {
    for (inner, shown) in [
        (
            "quitter_core::routine::process::handle::ProcessHandle::wait",
            "quitter::ProcessHandle::wait",
        ),
        (
            "quitter_core::quitter::waiting::<impl quitter_core::quitter::Quitter>::wait_done",
            "quitter::Quitter::wait_done",
        ),
        (
            "quitter_core::on_tokio::process::<impl \
             quitter_core::routine::process::handle::ProcessHandle>::wait_async::{{closure}}",
            "quitter::ProcessHandle::wait_async",
        ),
        (
            "<quitter_core::routine::process::handle::ProcessEnded as core::future::Future>::poll",
            "quitter::ProcessHandle::ended",
        ),
        (
            "quitter_core::main_quitter::exit::MainQuitter::exit",
            "quitter::MainQuitter::exit",
        ),
        // Line tables alone.
        (
            "quitter_core::routine::process::handle::wait",
            "quitter::wait",
        ),
    ] {
        assert_eq!(trimmed(&[inner, "store::run"]), [shown, "store::run"]);
    }
}

#[test]
fn a_program_lacks_lines_if_all_its_calls_have_names_and_no_call_but_those_of_std_has_a_file() {
    let without_file = |function: &str| Call {
        file: None,
        line: None,
        ..call(function)
    };
    let unnamed = || Call {
        function: None,
        ..without_file("")
    };
    let systems = || Call {
        module: Some("libc.so.6".to_owned()),
        ..unnamed()
    };
    let of_std = || Call {
        file: Some("/rustc/0123/library/std/src/thread/mod.rs".to_owned()),
        ..call("std::thread::sleep")
    };
    let own = || without_file("store::flush");
    assert!(lacks_lines(&[systems(), own()]));
    assert!(lacks_lines(&[systems(), of_std(), own()]));
    // The program, or a part of it, was stripped.
    assert!(!lacks_lines(&[systems(), unnamed()]));
    assert!(!lacks_lines(&[systems(), own(), unnamed()]));
    // A dependency in another language has no lines, but the program has.
    assert!(!lacks_lines(&[systems(), own(), call("store::flusher")]));
    assert!(!lacks_lines(&[systems()]));
    assert!(!lacks_lines(&[]));
}
