//! The attributes [`#[quitter::main]`](macro@main) and [`#[quitter::routine]`](macro@routine).
//!
//! This crate is a part of [`quitter`](https://docs.rs/quitter): depend on that one, which has both
//! attributes and what their output calls. Both are sugar. Each is shown here with the same program
//! written without it.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use quitter::RoutineQuitter;
//!
//! #[quitter::routine]
//! fn heartbeat(q: &RoutineQuitter) {
//!     for _ in q.ticks(Duration::from_secs(1)) {
//!         println!("beat");
//!     }
//! }
//!
//! #[quitter::main(timeout = "2s")]
//! fn main() {}
//! ```

mod args;
mod function;
mod main_attr;
mod place;
mod routine_attr;

use proc_macro::TokenStream;

/// Makes `main` the body of a program under a main quitter.
///
/// The program listens to its quit sources from the start, runs the body, starts the routines that
/// [`#[quitter::routine]`](macro@routine) registered, and waits for a quit event. Then every
/// quitter is told to quit, all routines have the quit timeout to return, and what came of it is
/// printed and becomes the exit code.
///
/// ```no_run
/// #[quitter::main]
/// fn main() {
///     println!("press Ctrl-C to end me");
/// }
/// ```
///
/// does what this does without the attribute:
///
/// ```no_run
/// use quitter::{ExitReport, MainQuitter};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder().run(|_: &MainQuitter| {
///         println!("press Ctrl-C to end me");
///     })
/// }
/// ```
///
/// # The body
///
/// The body is the place to set the program up: what it set up is there when the registered
/// routines start. It may take the main quitter, to fork routines and make child quitters by hand,
/// and it may return what std allows of a `main`: `()`, `!`, [`ExitCode`], or a `Result` of these
/// whose error is `Debug`.
///
/// ```no_run
/// use std::error::Error;
/// use std::net::TcpListener;
///
/// use quitter::MainQuitter;
///
/// #[quitter::main]
/// fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let server = main.child("server")?;
///     server.add_routine(move |q| {
///         println!("listening on {:?}", listener.local_addr());
///         q.wait_quit();
///     })?;
///     Ok(())
/// }
/// ```
///
/// without the attribute:
///
/// ```no_run
/// use std::error::Error;
/// use std::net::TcpListener;
///
/// use quitter::{ExitReport, MainQuitter};
///
/// fn body(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let server = main.child("server")?;
///     server.add_routine(move |q| {
///         println!("listening on {:?}", listener.local_addr());
///         q.wait_quit();
///     })?;
///     Ok(())
/// }
///
/// fn main() -> ExitReport {
///     MainQuitter::builder().run(body)
/// }
/// ```
///
/// A body that fails, panics or returns an [`ExitCode`] that is not zero makes the program quit at
/// once. The body counts as the routine `main`: a quit event that comes while it runs is seen by
/// all routines at once, and a body that has not returned by the deadline is reported like any
/// routine, and the program ends with exit code 1.
///
/// # Options
///
/// Each may be given once, in any order.
///
/// ## `timeout = "…"`
///
/// How long all routines together have to return, from the quit event on: 10 seconds if not given.
/// The text is a number with a unit, or several: `"2s"`, `"500ms"`, `"1m 30s"`, `"2h"` (as the
/// crate [humantime] reads it; a small `m` is a minute, a capital `M` a month). `"0s"` is allowed:
/// who has not returned at once is reported.
///
/// ```no_run
/// #[quitter::main(timeout = "1m 30s")]
/// fn main() {}
/// ```
///
/// without the attribute:
///
/// ```no_run
/// use std::time::Duration;
///
/// use quitter::{ExitReport, MainQuitter};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .timeout(Duration::from_secs(90))
///         .run(|_: &MainQuitter| {})
/// }
/// ```
///
/// ## `sources = […]`
///
/// What tells the program to quit, beside the signals of the operating system: a list of expressions
/// of the type `QuitSource`. They are evaluated once, before anything else in the program runs.
/// Sources that exist only once the body has run are for `main.add_source(..)`.
///
/// ```standalone_crate
/// use quitter::{QuitSource, RoutineQuitter};
///
/// #[quitter::routine]
/// fn job(_: &RoutineQuitter) {
///     println!("a job that ends by itself, and the program with it");
/// }
///
/// #[quitter::main(sources = [QuitSource::all_done()])]
/// fn main() {}
/// ```
///
/// without the attribute:
///
/// ```standalone_crate
/// use quitter::{ExitReport, MainQuitter, QuitSource, RoutineQuitter};
///
/// fn job(_: &RoutineQuitter) {
///     println!("a job that ends by itself, and the program with it");
/// }
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .sources([QuitSource::all_done()])
///         .run(|main: &MainQuitter| main.add_routine(job).map(drop))
/// }
/// ```
///
/// ## `signals = false`
///
/// Leaves the signals of the operating system out of the quit sources: they do what they do in a
/// program without quitter.
///
/// ```standalone_crate
/// use quitter::QuitSource;
///
/// #[quitter::main(signals = false, sources = [QuitSource::all_done()])]
/// fn main() {}
/// ```
///
/// without the attribute:
///
/// ```standalone_crate
/// use quitter::{ExitReport, MainQuitter, QuitSource};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .signals(false)
///         .sources([QuitSource::all_done()])
///         .run(|_| {})
/// }
/// ```
///
/// ## `end = "…"`
///
/// When the program ends: `"on_quit_event"`, which is the default, or `"with_body"`, for a body that
/// is the foreground work: its return, whatever it returns, is a quit event. The registered routines
/// then start before the body.
///
/// ```standalone_crate
/// use quitter::{MainQuitter, RoutineQuitter};
///
/// #[quitter::routine]
/// fn saves(q: &RoutineQuitter) {
///     q.wait_quit();
///     println!("saved");
/// }
///
/// #[quitter::main(end = "with_body")]
/// fn main(main: &MainQuitter) {
///     println!("the foreground work of {}", main.name());
/// }
/// ```
///
/// without the attribute:
///
/// ```standalone_crate
/// use quitter::{End, ExitReport, MainQuitter, RoutineQuitter};
///
/// fn saves(q: &RoutineQuitter) {
///     q.wait_quit();
///     println!("saved");
/// }
///
/// fn main() -> ExitReport {
///     MainQuitter::builder().end(End::WithBody).run(|main: &MainQuitter| {
///         main.add_routine(saves).unwrap();
///         println!("the foreground work of {}", main.name());
///     })
/// }
/// ```
///
/// ## `signal_exit_code = "…"`
///
/// The exit code of a program that a signal made quit and that ended cleanly: `"0"`, which is the
/// default, or `"128+n"`, where n is the number of the signal. A service was asked to end and did: with
/// another code supervisors and container runtimes take it for failed. A tool must not look successful
/// after Ctrl-C, where a shell goes on to the next command of `tool && deploy`.
///
/// ```no_run
/// #[quitter::main(signal_exit_code = "128+n")]
/// fn main() {}
/// ```
///
/// without the attribute:
///
/// ```no_run
/// use quitter::{ExitReport, MainQuitter, SignalExitCode};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .signal_exit_code(SignalExitCode::Plus128)
///         .run(|_| {})
/// }
/// ```
///
/// ## `start = "…"`
///
/// When the registered routines start: `"after_body"`, which is the default, or `"before_body"`,
/// for a body that is itself the foreground loop. A body can also choose its moment by
/// `main.start_routines()`.
///
/// ```no_run
/// use std::time::Duration;
///
/// use quitter::{MainQuitter, Quitting};
///
/// #[quitter::main(start = "before_body")]
/// fn main(main: &MainQuitter) -> Result<(), Quitting> {
///     loop {
///         println!("in the foreground");
///         main.sleep(Duration::from_secs(1))?;
///     }
/// }
/// ```
///
/// without the attribute:
///
/// ```no_run
/// use std::time::Duration;
///
/// use quitter::{ExitReport, MainQuitter, Quitting, StartRoutines};
///
/// fn body(main: &MainQuitter) -> Result<(), Quitting> {
///     loop {
///         println!("in the foreground");
///         main.sleep(Duration::from_secs(1))?;
///     }
/// }
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .start(StartRoutines::BeforeBody)
///         .run(body)
/// }
/// ```
///
/// ## `second_signal = policy`
///
/// What a further signal does while the program quits, as a `SecondSignal`: end it, unless it comes
/// within a time (half a second by default, since signals come in pairs), end it at once, or nothing.
///
/// ```no_run
/// use std::time::Duration;
///
/// use quitter::SecondSignal;
///
/// #[quitter::main(second_signal = SecondSignal::ExitUnlessWithin(Duration::from_secs(1)))]
/// fn main() {}
/// ```
///
/// without the attribute:
///
/// ```no_run
/// use std::time::Duration;
///
/// use quitter::{ExitReport, MainQuitter, SecondSignal};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .second_signal(SecondSignal::ExitUnlessWithin(Duration::from_secs(1)))
///         .run(|_| {})
/// }
/// ```
///
/// ## `progress_lines = false`
///
/// Whether lines say, from a second after the quit event, which routines are waited for and which of
/// those have returned. The default is `true`.
///
/// ```no_run
/// #[quitter::main(progress_lines = false)]
/// fn main() {}
/// ```
///
/// without the attribute:
///
/// ```no_run
/// use quitter::{ExitReport, MainQuitter};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder().progress_lines(false).run(|_| {})
/// }
/// ```
///
/// ## `crate = path`
///
/// Where the crate quitter is, for a dependency under another name or a re-export: `crate = ::q`,
/// `crate = my_framework::quitter`. It is `::quitter` if not given.
///
/// ```no_run
/// mod framework {
///     pub use quitter as q;
/// }
///
/// #[framework::q::main(crate = framework::q)]
/// fn main() {}
/// ```
///
/// # Misuse
///
/// Anything else is a compile error that says what to write: a function that is not called `main`,
/// an `async`, `const`, `unsafe`, `extern` or generic one, another parameter than `&MainQuitter`,
/// an unknown option, one given twice, a text that is no duration, an empty list of sources. The
/// attribute belongs on the `main` of a program: there is one main quitter in a process, and a
/// second one does not start.
///
/// [`ExitCode`]: std::process::ExitCode
/// [humantime]: https://docs.rs/humantime/latest/humantime/fn.parse_duration.html
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::attribute(args.into(), item.into()).into()
}

/// Registers a function as a routine of the program.
///
/// [`#[quitter::main]`](macro@main) forks it once, as a routine of the main quitter and under the
/// name of the function. The function itself stays what it is: it keeps its attributes, its
/// visibility and its documentation, can be called with any `&RoutineQuitter`, and can be added to
/// any quitter by hand.
///
/// ```no_run
/// use std::time::Duration;
///
/// use quitter::RoutineQuitter;
///
/// #[quitter::routine]
/// fn heartbeat(q: &RoutineQuitter) {
///     for _ in q.ticks(Duration::from_secs(1)) {
///         println!("beat");
///     }
/// }
///
/// #[quitter::main]
/// fn main() {}
/// ```
///
/// does what this does without the attribute:
///
/// ```no_run
/// use std::time::Duration;
///
/// use quitter::{AddRoutineError, MainQuitter, RoutineQuitter};
///
/// fn heartbeat(q: &RoutineQuitter) {
///     for _ in q.ticks(Duration::from_secs(1)) {
///         println!("beat");
///     }
/// }
///
/// #[quitter::main]
/// fn main(main: &MainQuitter) -> Result<(), AddRoutineError> {
///     main.add_routine(heartbeat)?;
///     Ok(())
/// }
/// ```
///
/// # The function
///
/// It is a free function that takes `&RoutineQuitter` and returns `()`, `!`, or a `Result<(), E>`
/// whose error can become a `Box<dyn Error + Send + Sync>`. It can stand in any module, and in the
/// body of another function. What a routine needs beside its quitter, a closure carries:
/// `main.add_routine(move |q| serve(q, listener))`.
///
/// # Options
///
/// Each may be given once, in any order.
///
/// ## `name = "…"`
///
/// The name that the routine has in reports, instead of the name of the function. Wherever the
/// function is added, also by hand, it has this name.
///
/// ```
/// use std::time::Duration;
///
/// use quitter::{Quitter, RoutineQuitter};
///
/// #[quitter::routine(name = "beat")]
/// fn heartbeat(q: &RoutineQuitter) {
///     q.wait_quit();
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let root = Quitter::root("root");
/// let routine = root.add_routine(heartbeat)?;
/// assert_eq!(routine.name(), "beat");
///
/// // A call needs no thread of its own.
/// let guard = root.guard("call")?;
/// root.send_quit();
/// heartbeat(&guard);
/// # drop(guard);
/// # root.wait_done(Duration::from_secs(10))?;
/// # Ok(())
/// # }
/// ```
///
/// without the attribute:
///
/// ```
/// use quitter::{Quitter, RoutineQuitter};
///
/// fn heartbeat(q: &RoutineQuitter) {
///     q.wait_quit();
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let root = Quitter::root("root");
/// let routine = root.routine("beat").add(heartbeat)?;
/// assert_eq!(routine.name(), "beat");
/// # root.send_quit();
/// # Ok(())
/// # }
/// ```
///
/// ## `manual`
///
/// Registers the name of the function and nothing more: nobody forks it by itself. It is for
/// routines that belong to a child quitter, start later, or run several times.
///
/// ```no_run
/// use std::error::Error;
///
/// use quitter::{MainQuitter, RoutineQuitter};
///
/// #[quitter::routine(manual, name = "worker")]
/// fn work(q: &RoutineQuitter) {
///     q.wait_quit();
/// }
///
/// #[quitter::main]
/// fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
///     let pool = main.child("pool")?;
///     for _ in 0..4 {
///         pool.add_routine(work)?;
///     }
///     Ok(())
/// }
/// ```
///
/// without the attribute, `pool.routine("worker").add(work)` forks the same routine.
///
/// ## `crate = path`
///
/// Where the crate quitter is, as for [`#[quitter::main]`](macro@main#crate--path).
///
/// ```
/// mod framework {
///     pub use quitter as q;
/// }
///
/// #[framework::q::routine(crate = framework::q, manual)]
/// fn work(q: &framework::q::RoutineQuitter) {
///     q.wait_quit();
/// }
/// ```
///
/// # Routines of other crates
///
/// Registered routines take part from every crate of the program. But a crate that the program
/// never mentions is not linked into it, and its routines do not start. To mention it is enough:
/// `use that_crate as _;`.
///
/// In which order routines start is not defined. A routine that needs another one first, or
/// something set up first, is a `manual` one that the body adds when its time has come. Two
/// routines that are forked by themselves cannot have the same name: the program does not start,
/// and says where both are. A `manual` one may share its name with any other.
///
/// # Misuse
///
/// Anything else is a compile error that says what to write: a method, an `async`, `const`,
/// `unsafe`, `extern` or generic function, another parameter than `&RoutineQuitter`, none, or a
/// second one, a return type that says nothing about success, an unknown option, one given twice,
/// an empty name. One kind the attribute cannot tell from a free function: an associated function
/// without `self`. The compiler refuses its registration; put the function beside the `impl`.
#[proc_macro_attribute]
pub fn routine(args: TokenStream, item: TokenStream) -> TokenStream {
    routine_attr::attribute(args.into(), item.into()).into()
}
