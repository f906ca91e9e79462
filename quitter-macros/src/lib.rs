//! The attributes [`#[quitter::main]`](macro@main) and [`#[quitter::routine]`](macro@routine).
//!
//! This crate is part of [`quitter`](https://docs.rs/quitter). Depend on `quitter`, which exports both
//! attributes and everything that their expansions call. Both attributes are sugar: each is documented
//! beside the same program written without it.
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

/// Runs `main` under a main quitter.
///
/// The program listens to its quit sources from the start, runs the body of `main`, starts the
/// routines that [`#[quitter::routine]`](macro@routine) registered, and waits for a quit event. Then
/// it tells every quitter to quit and waits for the routines, at most for the quit timeout. It prints
/// the outcome, which also decides the exit code.
///
/// ```no_run
/// #[quitter::main]
/// fn main() {
///     println!("press Ctrl-C to end me");
/// }
/// ```
///
/// is the same as:
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
/// The body sets the program up: registered routines start when it has returned. It may take the
/// main quitter, to start routines and create child quitters itself. It may return what std allows
/// `main` to return: `()`, `!`, [`ExitCode`], or a `Result` of these whose error is `Debug`.
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
/// Without the attribute:
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
/// The program quits at once if the body fails, panics or returns a non-zero [`ExitCode`]. The body
/// counts as the routine `main`: a quit event during the body reaches all routines at once, and a
/// body that has not returned by the deadline is reported like any other routine, with exit code 1.
///
/// # Options
///
/// Each option may be given once, in any order.
///
/// ## `timeout = "…"`
///
/// How long the whole program may take to quit, counted from the quit event. The default is 10
/// seconds. The text is a number with a unit, or several of them: `"2s"`, `"500ms"`, `"1m 30s"`,
/// `"2h"`. The crate [humantime] parses it; `m` is a minute and `M` a month. `"0s"` is allowed: every
/// routine that has not returned at the quit event is reported.
///
/// ```no_run
/// #[quitter::main(timeout = "1m 30s")]
/// fn main() {}
/// ```
///
/// Without the attribute:
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
/// Quit sources of the program, besides the signals of the operating system: a list of at least one
/// expression of the type `QuitSource`. The expressions are evaluated once, before the body runs. The
/// body adds sources that it creates with `main.add_source(..)`. On Unix, `QuitSource::signal(15)` is one
/// signal as a source of its own.
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
/// Without the attribute:
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
/// When the registered routines start: `"after_body"` (the default), or `"before_body"` for a body
/// that is itself the foreground loop. A body can also start them at any moment with
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
/// Without the attribute:
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
/// How the program reacts to a further signal while it quits, as a `SecondSignal`. By default it
/// ignores the signal within half a second of the first one, since signals come in pairs, and ends at
/// once after that. It may also end at once in any case, or ignore the signal.
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
/// Without the attribute:
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
/// Whether a quit that takes longer than a second prints which routines it still waits for, and which
/// of them have returned. The default is `true`.
///
/// ```no_run
/// #[quitter::main(progress_lines = false)]
/// fn main() {}
/// ```
///
/// Without the attribute:
///
/// ```no_run
/// use quitter::{ExitReport, MainQuitter};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder().progress_lines(false).run(|_| {})
/// }
/// ```
///
/// ## `failures_while_quitting = "…"`
///
/// What failures of routines and of the body do to the exit code when the program quits already:
/// `"count"`, which is the default, or `"list_only"`, where the report lists them and the exit code
/// stays what it is.
///
/// ```no_run
/// #[quitter::main(failures_while_quitting = "list_only")]
/// fn main() {}
/// ```
///
/// Without the attribute:
///
/// ```no_run
/// use quitter::{ExitReport, FailuresWhileQuitting, MainQuitter};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .failures_while_quitting(FailuresWhileQuitting::ListOnly)
///         .run(|_| {})
/// }
/// ```
///
/// ## `output = "…"`
///
/// What is written to stderr: `"all"`, which is the default, `"quiet"` for troubles only, or `"silent"`
/// for nothing at all. With the feature `tracing`, `"tracing"` leaves all of it to the subscriber.
///
/// ```standalone_crate
/// #[quitter::main(end = "with_body", output = "quiet")]
/// fn main() {
///     println!("a tool that says nothing but this");
/// }
/// ```
///
/// Without the attribute:
///
/// ```standalone_crate
/// use quitter::{End, ExitReport, MainQuitter, Output};
///
/// fn main() -> ExitReport {
///     MainQuitter::builder().end(End::WithBody).output(Output::Quiet).run(|_| {
///         println!("a tool that says nothing but this");
///     })
/// }
/// ```
///
/// ## `notices = function`
///
/// A function that gets each notice as data, instead of stderr: to print or to log it. See
/// `MainQuitterBuilder::notices` for what happens if it hangs or panics.
///
/// ```standalone_crate
/// use quitter::Notice;
///
/// fn log(notice: &Notice) {
///     println!("[log] {notice}");
/// }
///
/// #[quitter::main(end = "with_body", notices = log)]
/// fn main() {}
/// ```
///
/// Without the attribute:
///
/// ```standalone_crate
/// use quitter::{End, ExitReport, MainQuitter, Notice};
///
/// fn log(notice: &Notice) {
///     println!("[log] {notice}");
/// }
///
/// fn main() -> ExitReport {
///     MainQuitter::builder().end(End::WithBody).notices(log).run(|_| {})
/// }
/// ```
///
/// ## `hold_output = "…"` and `before_report = function`
///
/// For programs that draw on the terminal. Notices are held back `"until_body_returns"`, for a body
/// that draws, or `"until_report"`, for a routine that draws; the default is `"never"`. The function
/// restores the terminal before the outcome and before an end by force, whatever hangs.
///
/// ```standalone_crate
/// fn leave_alternate_screen() {
///     print!("\x1b[?1049l");
/// }
///
/// #[quitter::main(
///     end = "with_body",
///     hold_output = "until_report",
///     before_report = leave_alternate_screen,
/// )]
/// fn main() {
///     print!("\x1b[?1049h a picture");
/// }
/// ```
///
/// Without the attribute:
///
/// ```standalone_crate
/// use quitter::{End, ExitReport, HoldOutput, MainQuitter};
///
/// fn leave_alternate_screen() {
///     print!("\x1b[?1049l");
/// }
///
/// fn main() -> ExitReport {
///     MainQuitter::builder()
///         .end(End::WithBody)
///         .hold_output(HoldOutput::UntilReport)
///         .before_report(leave_alternate_screen)
///         .run(|_| print!("\x1b[?1049h a picture"))
/// }
/// ```
///
/// ## `crate = path`
///
/// The path of the crate quitter, for a renamed or re-exported dependency: `crate = ::q`,
/// `crate = my_framework::quitter`. The default is `::quitter`.
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
/// Misuse is a compile error that says what to write instead: a function that is not called `main`, a
/// function that is `async`, `const`, `unsafe`, `extern` or generic, a parameter other than
/// `&MainQuitter`, an unknown or repeated option, an invalid duration, an empty list of sources. The
/// attribute is for the `main` of a program: a process has one main quitter, and a second one is an
/// error at run time.
///
/// [`ExitCode`]: std::process::ExitCode
/// [humantime]: https://docs.rs/humantime/latest/humantime/fn.parse_duration.html
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::attribute(args.into(), item.into()).into()
}

/// Registers a function as a routine of the program.
///
/// [`#[quitter::main]`](macro@main) starts it once, as a routine of the main quitter, under the name
/// of the function. The function itself does not change: it keeps its attributes, visibility and
/// documentation, can be called with any `&RoutineQuitter`, and can be added to any quitter.
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
/// is the same as:
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
/// whose error converts into `Box<dyn Error + Send + Sync>`. It may be in any module, or in the body
/// of another function. A routine that needs more than its quitter is a closure instead:
/// `main.add_routine(move |q| serve(q, listener))`.
///
/// # Options
///
/// Each option may be given once, in any order.
///
/// ## `name = "…"`
///
/// The name of the routine in reports, instead of the name of the function. It applies wherever the
/// function is added, also with `add_routine`.
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
/// // The function can also be called directly, on this thread.
/// let guard = root.guard("call")?;
/// root.send_quit();
/// heartbeat(&guard);
/// # drop(guard);
/// # root.wait_done(Duration::from_secs(10))?;
/// # Ok(())
/// # }
/// ```
///
/// Without the attribute:
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
/// Registers only the name of the function; the main quitter does not start it. Use it for routines
/// that belong to a child quitter, start later, or run several times.
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
/// Without the attribute, `pool.routine("worker").add(work)` starts the same routine.
///
/// ## `crate = path`
///
/// The path of the crate quitter, as for [`#[quitter::main]`](macro@main#crate--path).
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
/// Routines of every crate in the program are registered. A crate that the program never mentions is
/// not linked, so its routines do not start. One mention is enough: `use that_crate as _;`.
///
/// The order in which routines start is unspecified. A routine that depends on another one, or on some
/// set-up, should be `manual`; the body adds it when it can run.
///
/// Two automatic routines cannot have the same name. Within one crate this is a compile error if the
/// name is an identifier. Otherwise the program does not start, and says where both are. A `manual`
/// routine may share its name with any other.
///
/// Registering takes a constructor that runs before `main`, which linkers keep on all supported
/// systems. If a special link step drops them, the program does not start, and says so.
///
/// # Misuse
///
/// Misuse is a compile error that says what to write instead: a method, a function that is `async`,
/// `const`, `unsafe`, `extern` or generic, a parameter list other than one `&RoutineQuitter`, a
/// return type that does not tell success from failure, an unknown or repeated option, an empty name.
///
/// The attribute cannot tell an associated function from a free one. There the compiler says that a
/// struct, which holds the registration, is not supported in an `impl`: move the function out.
#[proc_macro_attribute]
pub fn routine(args: TokenStream, item: TokenStream) -> TokenStream {
    routine_attr::attribute(args.into(), item.into()).into()
}
