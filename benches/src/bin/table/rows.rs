//! The rows: what is compared with what, and the goals. The workloads are in the library.

use quitter_benches::scenarios::PARTS_NAME;

use crate::goal::{Goal, Of};
use crate::measure::{OP, Program};
use crate::row::{Floor, Growth, ROW, Row, Unit, When};

const GROWS: &[usize] = &[1_000, 10_000, 100_000, 1_000_000];
const MILLION: &[usize] = &[1_000_000];
const THREADS: &[usize] = &[1_000, 4_000];

const POLLS: &[&str] = &["tokio-util", "async-shutdown", "Mutex", "crossbeam channel"];
const COUNTS: &[&str] = &[
    "TaskTracker",
    "WaitGroup",
    "async-shutdown",
    "tokio-graceful",
];

const MS: f64 = 1e6;

const OPS: Row = Row {
    program: Program::Ops,
    figure: OP,
    ..ROW
};

const QUIT_CALL: Row = Row {
    figure: "call",
    sizes: GROWS,
    peers: &["tokio-util"],
    others: &["own flags"],
    goals: &[Goal::times(0.3, Of::Peer("tokio-util")).at(1_000_000)],
    growth: Growth::OfAll,
    ..ROW
};

const QUIT_SEEN: Row = Row {
    figure: "seen",
    floor: Some(Floor::of("own flags")),
    others: &[],
    ..QUIT_CALL
};

const SLOW_POLL: Row = Row {
    workload: "slow-poll",
    why: "The whole quit takes a few microseconds. Meanwhile, one poll walks up past nodes that are in no \
          cache, in code that has never run before. (A poll that a timer interrupt hits takes tens of \
          microseconds, as the floor shows.)",
    sizes: MILLION,
    floor: Some(Floor::of("nothing quits")),
    peers: &["tokio-util"],
    goals: &[Goal::value(1_000.0)],
    ..ROW
};

const BLOCKED: Row = Row {
    workload: "threads",
    sizes: THREADS,
    often: 3,
    ..ROW
};

const PROCESS: Row = Row {
    workload: "process",
    figure: "gone",
    floor: Some(Floor::of("killed")),
    ..ROW
};

const GUARD: &str = "A guard is a record in a list, with its name and place. The list's lock and the reference counts of \
    the record and of the quitter take nine atomic operations. TaskTracker takes four: it only counts, and \
    cannot say what it counts.";
const NODE: &str = "Each node can keep a quit of its own, so that a quit takes no lock: one word more to \
    write.";
const LISTED: &str = "A waiter is listed at its node, and the node at its parent. That takes an allocation \
    and two locks, which a child that only polls does not need.";
const CHANNEL: &str = "crossbeam's channel takes three allocations, which its `select!` needs.";
const SCHEDULED: &str = "Nothing waits for a lock or sleeps. In a trace, 64 threads that never sleep keep the \
    processors busy, so the thread that handles the signal waits some 20 ms until it runs, and the two that end \
    the program wait up to 20 ms.";

const CONNECTION: Row = Row {
    peers: &["tokio-util"],
    goals: &[Goal::times(0.7, Of::Peer("tokio-util"))],
    ..OPS
};

const SELECTED: Row = Row {
    why: LISTED,
    goals: &[Goal::times(1.0, Of::Peer("tokio-util"))],
    ..CONNECTION
};

const QUITTING: Row = Row {
    peers: &["tokio-util"],
    goals: &[Goal::times(1.0, Of::Peer("tokio-util"))],
    ..OPS
};

const TASKS: Row = Row {
    workload: "tasks",
    sizes: &[10_000, 100_000, 1_000_000],
    ..ROW
};

const PROCESSES: Row = Row {
    workload: "processes",
    sizes: &[1_000],
    peers: &["by hand"],
    ..ROW
};

/// The example `tcp_server_threads`.
const SERVER: Row = Row {
    workload: "server",
    sizes: &[500],
    floor: Some(Floor::of("killed")),
    peers: &["by hand"],
    goals: &[Goal::value(50.0 * MS)],
    ..ROW
};

const SNAPSHOT: Row = Row {
    workload: "snapshot",
    sizes: &[1_000, 10_000, 100_000],
    ..ROW
};

const BUILD: Row = Row {
    workload: "build",
    floor: Some(Floor::of(PARTS_NAME)),
    peers: &["tokio-util", "tokio-graceful-shutdown"],
    others: &["ctrlc + crossbeam-channel"],
    when: When::Builds,
    ..ROW
};

/// Every row, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row {
        what: "`Quitter::has_to_quit`, 1 thread",
        workload: "poll",
        floor: Some(Floor::of("AtomicBool")),
        peers: POLLS,
        goals: &[Goal::times(1.5, Of::Floor)],
        go_quitter: &[(0, 8.3)],
        ..OPS
    },
    Row {
        what: "`RoutineQuitter::has_to_quit`, which stores its place",
        workload: "poll-routine",
        floor: Some(Floor::of("AtomicBool")),
        goals: &[Goal::times(2.0, Of::Floor)],
        why: "The benchmark stores each answer as well, and only both stores together take that long. In a loop \
              that branches on the answer, as in programs, a poll takes 0.33 ns.",
        ..OPS
    },
    Row {
        what: "`has_to_quit`, 2 threads on one node",
        workload: "poll-2-threads",
        floor: Some(Floor::of("AtomicBool")),
        peers: POLLS,
        goals: &[Goal::times(1.5, Of::Floor)],
        go_quitter: &[(0, 25.0)],
        ..OPS
    },
    Row {
        what: "`has_to_quit` at depth 100",
        workload: "poll-depth-100",
        why: "A poll takes two loads at every depth, where the floor takes one. From run to run, that is a little \
              over or under the goal.",
        floor: Some(Floor::of("AtomicBool")),
        peers: &["tokio-util"],
        others: &["walking up"],
        goals: &[Goal::times(1.5, Of::Floor)],
        ..OPS
    },
    Row {
        what: "longest poll of the root while a tree quits",
        figure: "root longest",
        ..SLOW_POLL
    },
    Row {
        what: "poll of the root while a tree quits, 95 % of the time",
        figure: "root 95 %",
        ..SLOW_POLL
    },
    Row {
        what: "longest poll of a leaf while a tree quits",
        figure: "leaf longest",
        ..SLOW_POLL
    },
    Row {
        what: "poll of a leaf while a tree quits, 95 % of the time",
        figure: "leaf 95 %",
        ..SLOW_POLL
    },
    Row {
        what: "child made and dropped, 1 thread",
        workload: "child",
        floor: Some(Floor::of("allocation")),
        peers: &["tokio-util", "tokio-graceful-shutdown"],
        goals: &[Goal::times(0.5, Of::Peer("tokio-util"))],
        go_quitter: &[(0, 5_600.0)],
        why: NODE,
        ..OPS
    },
    Row {
        what: "child made and dropped, 2 threads under one parent",
        workload: "child-2-threads",
        floor: Some(Floor::of("allocation")),
        peers: &["tokio-util"],
        goals: &[Goal::times(0.1, Of::Peer("tokio-util"))],
        why: NODE,
        ..OPS
    },
    Row {
        what: "a connection's child: made, polled 20 times, quit and dropped, 1 thread",
        workload: "connection",
        ..CONNECTION
    },
    Row {
        what: "a connection's child, 2 threads under one parent",
        workload: "connection-2-threads",
        ..CONNECTION
    },
    Row {
        what: "a connection's child with `quit_chan` for a `select!`, 1 thread",
        workload: "connection-select",
        why: CHANNEL,
        ..SELECTED
    },
    Row {
        what: "a connection's child with `quit_chan` for a `select!`, 2 threads under one parent",
        workload: "connection-select-2-threads",
        why: CHANNEL,
        ..SELECTED
    },
    Row {
        what: "a connection's child with `quitting()` polled once, 1 thread",
        workload: "connection-await",
        ..SELECTED
    },
    Row {
        what: "a connection's child with `quitting()` polled once, 2 threads under one parent",
        workload: "connection-await-2-threads",
        ..SELECTED
    },
    Row {
        what: "children all made, then all dropped: each",
        workload: "children",
        figure: "both",
        sizes: GROWS,
        floor: Some(Floor::of("allocation")),
        peers: &["tokio-util"],
        growth: Growth::PerItem,
        plot: Some("children"),
        ..ROW
    },
    Row {
        what: "heap of a live child",
        program: Program::Heap,
        workload: "heap",
        figure: "bytes",
        unit: Unit::Bytes,
        sizes: GROWS,
        floor: Some(Floor::of("allocation")),
        peers: &["tokio-util", "tokio-graceful-shutdown"],
        goals: &[Goal::value(80.0)],
        go_quitter: &[(1_000, 3_107.0)],
        growth: Growth::PerItem,
        plot: Some("heap"),
        why: "Each node can keep a quit of its own, so that a quit takes no lock: one word more. The only field \
              that could shrink is the name, which would cost names made at run time a second allocation. \
              (glibc allocates 96 bytes for 88 as for 80.)",
        ..ROW
    },
    Row {
        what: "routine recorded and removed by `guard`, 1 thread",
        workload: "guard",
        floor: Some(Floor::of("counter")),
        peers: COUNTS,
        goals: &[Goal::times(2.0, Of::Peer("TaskTracker"))],
        go_quitter: &[(0, 18.0)],
        why: GUARD,
        ..OPS
    },
    Row {
        what: "routine recorded and removed by `guard`, 2 threads",
        workload: "guard-2-threads",
        floor: Some(Floor::of("own counters")),
        peers: COUNTS,
        goals: &[Goal::times(0.5, Of::Peer("TaskTracker"))],
        why: GUARD,
        ..OPS
    },
    Row {
        what: "`wait_done(ZERO)` beside threads that make guards at one quitter: longest of 3 s",
        workload: "busy",
        figure: "longest",
        sizes: &[8],
        floor: Some(Floor::of("TaskTracker")),
        goals: &[Goal::value(10.0 * MS)],
        why: "A thread may be preempted while it holds the lock. All others let the walk go first, but the walk \
              has to wait until the scheduler runs that thread again.",
        ..ROW
    },
    Row {
        what: "`send_quit` over idle children: the call",
        workload: "quit-flat",
        go_quitter: &[(1_000_000, 459.0 * MS)],
        plot: Some("quit-flat-call"),
        ..QUIT_CALL
    },
    Row {
        what: "`send_quit` over idle children: seen by all",
        workload: "quit-flat",
        go_quitter: &[(1_000_000, 493.0 * MS)],
        plot: Some("quit-flat-seen"),
        ..QUIT_SEEN
    },
    Row {
        what: "`send_quit` over a tree of tens: the call",
        workload: "quit-tens",
        plot: Some("quit-tens-call"),
        ..QUIT_CALL
    },
    Row {
        what: "`send_quit` over a tree of tens: seen by all",
        workload: "quit-tens",
        plot: Some("quit-tens-seen"),
        ..QUIT_SEEN
    },
    Row {
        what: "a chain made, quit and dropped: each",
        workload: "chain",
        figure: "all",
        sizes: GROWS,
        peers: &["tokio-util"],
        goals: &[Goal::times(0.5, Of::Peer("tokio-util")).at(1_000_000)],
        growth: Growth::PerItem,
        plot: Some("chain"),
        why: "From run to run, this is a little over or under the goal. Most of the time goes into touching \
              memory for the first time, with tokio-util as well.",
        ..ROW
    },
    Row {
        what: "blocked threads: quit to last returned",
        figure: "last",
        floor: Some(Floor::of("Condvar + WaitGroup")),
        peers: &[
            "tokio-util",
            "parking_lot",
            "crossbeam channel",
            "event-listener",
            "async-shutdown",
        ],
        goals: &[Goal::times(1.25, Of::Floor)],
        ..BLOCKED
    },
    Row {
        what: "blocked threads: how long `send_quit` takes",
        figure: "call",
        floor: Some(Floor::of("parking_lot")),
        peers: &[
            "tokio-util",
            "Condvar + WaitGroup",
            "crossbeam channel",
            "event-listener",
            "async-shutdown",
        ],
        goals: &[Goal::value(MS).at(1_000)],
        why: "If more than 16 threads wait, the caller wakes one, which wakes the others. So 4,000 threads take \
              no longer. The rest varies from run to run, and was not traced.",
        ..BLOCKED
    },
    Row {
        what: "blocked threads: quit to `wait_done` returning",
        figure: "done",
        floor: Some(Floor::elsewhere(
            "last returned",
            "Condvar + WaitGroup",
            ("threads", "last", None),
        )),
        peers: &[
            "Condvar + WaitGroup",
            "thread::scope",
            "Condvar + join",
            "tokio-util",
            "parking_lot",
            "crossbeam channel",
            "event-listener",
            "async-shutdown",
        ],
        goals: &[Goal::times(0.9, Of::Peer("Condvar + WaitGroup"))],
        why: "The wait ends with the last thread: the row \"quit to last returned\" has the same figure. The \
              peer, too, wakes each thread, and the system tears each down.",
        ..BLOCKED
    },
    Row {
        what: "children whose routines fail at the quit: quit to `wait_done` returning",
        workload: "failures",
        figure: "done",
        sizes: &[4_000],
        floor: Some(Floor::of("all return")),
        goals: &[Goal::times(1.3, Of::Floor)],
        why: "Each failure has a text, and is recorded under the one lock that the tree has for failures.",
        ..ROW
    },
    Row {
        what: "thread started, run and finished: each of a batch",
        workload: "fork",
        figure: "routine",
        sizes: &[1_000],
        often: 3,
        floor: Some(Floor::of("thread::scope")),
        peers: &["WaitGroup", "spawn + join"],
        goals: &[Goal::times(1.02, Of::Floor)],
        why: "The thread is given the routine's name, by a system call that the others do not make.",
        ..ROW
    },
    Row {
        what: "snapshots of n routines: the longest start of another routine meanwhile",
        figure: "longest start",
        floor: Some(Floor::of("nobody looks")),
        ..SNAPSHOT
    },
    Row {
        what: "a snapshot of n routines",
        figure: "snapshot",
        ..SNAPSHOT
    },
    Row {
        what: "waiting tasks: quit to all done",
        figure: "done",
        floor: Some(Floor::of("Notify")),
        peers: &["tokio-util", "tokio-graceful-shutdown"],
        goals: &[
            Goal::times(0.8, Of::Peer("tokio-util")).at(10_000),
            Goal::times(0.8, Of::Peer("tokio-util")).at(100_000),
            Goal::times(0.65, Of::Peer("tokio-util")).at(1_000_000),
        ],
        go_quitter: &[
            (10_000, 9.0 * MS),
            (100_000, 65.0 * MS),
            (1_000_000, 598.0 * MS),
        ],
        growth: Growth::OfAll,
        plot: Some("tasks"),
        why: "A separate thread wakes the tasks, so that the quit does not block a worker. (It also frees their \
              memory after they have ended, which is not measured.) The workers contend for what all tasks \
              share: a list that each task leaves under its lock, a count of live routines, and the quitter's \
              reference count.",
        ..TASKS
    },
    Row {
        what: "waiting tasks: how long `send_quit` blocks the worker that calls it",
        figure: "call",
        peers: &["tokio-util"],
        goals: &[Goal::value(MS).at(1_000_000)],
        ..TASKS
    },
    Row {
        what: "heap of a waiting task",
        program: Program::Heap,
        workload: "heap-task",
        figure: "bytes",
        unit: Unit::Bytes,
        sizes: &[1_000, 100_000],
        floor: Some(Floor::of("bare task")),
        peers: &["tokio-util"],
        goals: &[Goal::times(1.0, Of::Peer("tokio-util"))],
        ..ROW
    },
    Row {
        what: "task spawned, run and finished",
        workload: "task",
        floor: Some(Floor::of("bare spawn")),
        peers: &[
            "TaskTracker",
            "TaskTracker and child token",
            "tokio-graceful-shutdown",
        ],
        goals: &[Goal::times(1.15, Of::Floor)],
        why: "A task is a record in a list: its lock is taken twice, and the record and the quitter are reference-\
              counted. These are 13 atomic operations of about 5.5 ns; the goal leaves room for 6.",
        ..OPS
    },
    Row {
        what: "`quitting()` made, polled once and dropped, 1 thread",
        workload: "quitting",
        why: "The future holds a counted reference to its quitter, since it may outlive all handles. The peer's \
              future borrows its token.",
        ..QUITTING
    },
    Row {
        what: "`quitting()` made, polled once and dropped, 2 threads",
        workload: "quitting-2-threads",
        why: "The threads contend for the lock of the quitter's list, as with the peer, and for its reference \
              count: the future may outlive all handles, and the peer's may not.",
        ..QUITTING
    },
    Row {
        what: "threads blocked in reads: quit to `wait_done` returning",
        workload: "reads",
        figure: "done",
        sizes: &[1_000, 10_000],
        often: 3,
        floor: Some(Floor::of("wait_quit")),
        goals: &[Goal::times(1.5, Of::Floor)],
        ..ROW
    },
    Row {
        what: "child processes: all started",
        figure: "start",
        ..PROCESSES
    },
    Row {
        what: "child processes: quit to all reaped",
        figure: "quit",
        ..PROCESSES
    },
    Row {
        what: "20 lines from each of n child processes, written with its name",
        workload: "output",
        figure: "lines",
        sizes: &[100, 1_000],
        peers: &["a thread each"],
        growth: Growth::OfAll,
        ..ROW
    },
    Row {
        what: "TCP server with clients, idle or amid a line, SIGINT to gone",
        figure: "gone without floods",
        ..SERVER
    },
    Row {
        what: "the same, and a tenth of the clients send without end and never read",
        figure: "gone",
        why: "A tenth of the threads keep both processors busy. In a trace, the thread that handles the signal \
              waited up to 28 ms until it ran, and all threads returned within 38 ms after that. The server \
              written by hand takes no less.",
        ..SERVER
    },
    Row {
        what: "process with blocked threads, SIGINT to gone",
        sizes: &[1_000],
        peers: &[
            "tokio-util",
            "ctrlc + WaitGroup",
            "ctrlc + join",
            "signal-hook",
        ],
        goals: &[Goal::times(0.37, Of::BestPeer)],
        why: "Each thread is woken once, and then the system tears the threads down, which takes as long as \
              `killed` shows. The peers do the same. The goal was set on a machine where they took three times \
              as long as `killed`.",
        ..PROCESS
    },
    Row {
        what: "process with nothing running, SIGINT to gone",
        peers: &["ctrlc", "signal-hook", "tokio-util"],
        goals: &[Goal::times(1.25, Of::Peer("ctrlc"))],
        go_quitter: &[(0, 0.72 * MS)],
        why: "The program has two more threads: one watches the deadline, and one writes if stderr blocks. \
              Neither delays the exit itself, but the system has to tear them down.",
        ..PROCESS
    },
    Row {
        what: "routines that hammer the tree: how late the forced end is",
        workload: "forced-end",
        figure: "late",
        sizes: &[64],
        floor: Some(Floor::of("idle")),
        goals: &[Goal::more_than(Of::Floor, 20.0 * MS)],
        why: SCHEDULED,
        ..ROW
    },
    Row {
        what: "heartbeat of the examples, SIGINT to gone",
        workload: "heartbeat",
        floor: Some(Floor::elsewhere(
            "nothing running",
            "quitter",
            ("process", "gone", Some(0)),
        )),
        goals: &[Goal::more_than(Of::Floor, MS)],
        go_quitter: &[(0, 584.0 * MS)],
        ..PROCESS
    },
    Row {
        what: "clean release build of an empty program",
        figure: "time",
        goals: &[
            Goal::times(1.3, Of::Floor),
            Goal::times(2.0, Of::Peer("ctrlc + crossbeam-channel")),
            Goal::times(0.5, Of::BestPeer),
        ],
        why: "Half of it is syn, which the two attributes need. The core is compiled after it.",
        ..BUILD
    },
    Row {
        what: "clean release build of an empty program: crates",
        figure: "crates",
        unit: Unit::Crates,
        ..BUILD
    },
    Row {
        what: "the smallest program that ends on Ctrl-C, release, stripped: binary",
        figure: "size",
        unit: Unit::Bytes,
        floor: None,
        ..BUILD
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use quitter_benches::ops::OPS;
    use quitter_benches::scenarios::{SCENARIOS, heap::HEAP};
    use quitter_benches::workload::Workload;

    fn is_there<F: Copy>(workloads: &[Workload<F>], workload: &str, implementation: &str) -> bool {
        let mut named = workloads.iter().filter(|other| other.name == workload);
        named.any(|workload| workload.implementation(implementation).is_some())
    }

    #[test]
    fn every_implementation_that_a_row_names_is_in_its_workload() {
        for job in ROWS.iter().flat_map(Row::jobs) {
            let is_there = match job.program {
                Program::Ops => is_there(OPS, job.workload, job.implementation),
                Program::Heap => is_there(HEAP, job.workload, job.implementation),
                Program::Scenario => is_there(SCENARIOS, job.workload, job.implementation),
            };
            assert!(is_there, "{job:?}");
        }
    }
}
