//! The options in the parentheses of an attribute.

use std::time::Duration;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::{Error, Parse, ParseStream, Result};
use syn::{Expr, ExprArray, LitBool, LitInt, LitStr, Path, Token, parse_quote, token};

use crate::runtime::{self, Flavor};

const MAIN_OPTIONS: &str = "`#[quitter::main]` takes
`timeout = \"2s\"`, `sources = [QuitSource::all_done()]`, `signals = false`,
`start = \"before_body\"`, `end = \"with_body\"`,
`second_signal = SecondSignal::Ignore`, `signal_exit_code = \"128+n\"`,
`failures_while_quitting = \"list_only\"`, `progress_lines = false`,
`output = \"quiet\"`, `notices = function`, `hold_output = \"until_report\"`,
`before_report = function`, `dump_on = \"SIGUSR1\"`, `reap_orphans`, `crate = path`,
and on an `async fn` `flavor = \"current_thread\"` and `worker_threads = 4`";
const ROUTINE_OPTIONS: &str = "`#[quitter::routine]` takes `name = \"…\"`, `manual`, `on_failure = OnFailure::Report` and `crate = path`";
const DURATIONS: &str = r#"write a duration such as "2s", "500ms" or "1m 30s""#;

/// The options of `#[quitter::main]`.
pub(crate) struct MainArgs {
    pub(crate) timeout: Option<Duration>,
    pub(crate) sources: Option<ExprArray>,
    pub(crate) signals: Option<LitBool>,
    pub(crate) start: Option<Start>,
    pub(crate) end: Option<End>,
    pub(crate) signal_exit_code: Option<SignalExitCode>,
    pub(crate) second_signal: Option<Expr>,
    pub(crate) progress_lines: Option<LitBool>,
    pub(crate) failures_while_quitting: Option<Variant>,
    pub(crate) output: Option<Variant>,
    pub(crate) notices: Option<Expr>,
    pub(crate) hold_output: Option<Variant>,
    pub(crate) before_report: Option<Expr>,
    pub(crate) dump_on: Option<LitStr>,
    pub(crate) reap_orphans: Option<LitBool>,
    pub(crate) flavor: Option<runtime::Of<Flavor>>,
    pub(crate) worker_threads: Option<runtime::Of<LitInt>>,
    pub(crate) krate: Path,
}

/// The variant of a public enum that a word stands for.
pub(crate) type Variant = Ident;

/// When the registered routines start.
pub(crate) enum Start {
    BeforeBody,
    AfterBody,
}

/// When the program ends.
#[derive(PartialEq)]
pub(crate) enum End {
    OnQuitEvent,
    WithBody,
}

/// The exit code of a program that a signal made quit.
pub(crate) enum SignalExitCode {
    Zero,
    Plus128,
}

impl Parse for MainArgs {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut timeout, mut sources, mut start) = (None, None, None);
        let (mut signals, mut end, mut signal_exit_code) = (None, None, None);
        let (mut second_signal, mut progress_lines, mut krate) = (None, None, None);
        let (mut failures_while_quitting, mut hold_output) = (None, None);
        let (mut output, mut notices, mut before_report) = (None, None, None);
        let (mut dump_on, mut reap_orphans) = (None, None);
        let (mut flavor, mut worker_threads) = (None, None);
        for_each_option(input, MAIN_OPTIONS, |option| {
            match option.to_string().as_str() {
                "timeout" => once(&mut timeout, option, duration(option, input)?),
                "sources" => once(&mut sources, option, source_list(option, input)?),
                "signals" => once(&mut signals, option, yes_or_no(option, input)?),
                "end" => once(&mut end, option, end_word(option, input)?),
                "signal_exit_code" => {
                    once(&mut signal_exit_code, option, signal_code(option, input)?)
                }
                "start" => once(&mut start, option, start_word(option, input)?),
                "second_signal" => {
                    let policy = policy(option, input, "SecondSignal", "Ignore")?;
                    once(&mut second_signal, option, policy)
                }
                "progress_lines" => once(&mut progress_lines, option, yes_or_no(option, input)?),
                "failures_while_quitting" => once(
                    &mut failures_while_quitting,
                    option,
                    word(option, input, &FAILURES_WHILE_QUITTING)?,
                ),
                "output" => once(&mut output, option, output_word(option, input)?),
                "notices" => once(&mut notices, option, function(option, input)?),
                "hold_output" => once(&mut hold_output, option, word(option, input, &HOLDS)?),
                "before_report" => once(&mut before_report, option, function(option, input)?),
                "dump_on" => once(&mut dump_on, option, signal_name(option, input)?),
                "reap_orphans" => once(&mut reap_orphans, option, orphans(option, input)?),
                "flavor" => once(&mut flavor, option, runtime::flavor(option, input)?),
                "worker_threads" => {
                    let count = runtime::worker_threads(option, input)?;
                    once(&mut worker_threads, option, count)
                }
                "crate" => once(&mut krate, option, crate_path(option, input)?),
                _ => Err(unknown(option, MAIN_OPTIONS)),
            }
        })?;
        check_sources(signals.as_ref(), sources.as_ref(), end.as_ref())?;
        Ok(MainArgs {
            timeout,
            sources,
            signals,
            start,
            end,
            signal_exit_code,
            second_signal,
            progress_lines,
            failures_while_quitting,
            output,
            notices,
            hold_output,
            before_report,
            dump_on,
            reap_orphans,
            flavor,
            worker_threads,
            krate: krate.unwrap_or_else(facade),
        })
    }
}

/// The options of `#[quitter::routine]`.
pub(crate) struct RoutineArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) manual: bool,
    pub(crate) on_failure: Option<Expr>,
    pub(crate) krate: Path,
}

impl Parse for RoutineArgs {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut name, mut manual) = (None, None);
        let (mut on_failure, mut krate) = (None, None);
        for_each_option(input, ROUTINE_OPTIONS, |option| {
            match option.to_string().as_str() {
                "name" => once(&mut name, option, routine_name(option, input)?),
                "manual" => once(&mut manual, option, no_value(option, input)?),
                "on_failure" => {
                    let policy = policy(option, input, "OnFailure", "Report")?;
                    once(&mut on_failure, option, policy)
                }
                "crate" => once(&mut krate, option, crate_path(option, input)?),
                _ => Err(unknown(option, ROUTINE_OPTIONS)),
            }
        })?;
        Ok(RoutineArgs {
            name,
            manual: manual.is_some(),
            on_failure,
            krate: krate.unwrap_or_else(facade),
        })
    }
}

fn facade() -> Path {
    parse_quote!(::quitter)
}

/// Reads options separated by commas. `take` gets the name of each and reads the rest of it.
fn for_each_option(
    input: ParseStream<'_>,
    options: &str,
    mut take: impl FnMut(&Ident) -> Result<()>,
) -> Result<()> {
    while !input.is_empty() {
        let start = input.span();
        let no_option = |_| Error::new(start, format!("expected an option: {options}"));
        let option = input.call(Ident::parse_any).map_err(no_option)?;
        take(&option)?;
        if !input.is_empty() && !input.peek(Token![,]) {
            let message = "missing comma: write `,` between two options";
            return Err(Error::new(input.span(), message));
        }
        input.parse::<Option<Token![,]>>()?;
    }
    Ok(())
}

/// Stores the value of an option, which may be given only once.
fn once<T>(slot: &mut Option<T>, option: &Ident, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => {
            let message = format!("`{option}` is given twice: remove one of them");
            Err(Error::new(option.span(), message))
        }
    }
}

/// The error for an option that is not among those in `options`.
fn unknown(option: &Ident, options: &str) -> Error {
    let message = match nearest(&option.to_string(), options) {
        Some(nearest) => format!("unknown option `{option}`: did you mean `{nearest}`?"),
        None => format!("unknown option `{option}`: {options}"),
    };
    Error::new(option.span(), message)
}

/// The option in the text `options` that `word` is probably meant to be.
fn nearest<'a>(word: &str, options: &'a str) -> Option<&'a str> {
    let quoted = options.split('`').skip(1).step_by(2);
    let names = quoted.filter_map(|option| option.split(' ').next());
    let with_distances = names.map(|name| (distance(word, name), name));
    let (distance, name) = with_distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= name.len() / 3).then_some(name)
}

/// The number of bytes to insert, remove or replace to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, byte) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (at, wanted) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(byte != wanted);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

fn duration(option: &Ident, input: ParseStream<'_>) -> Result<Duration> {
    let text = string(option, input, DURATIONS)?;
    humantime::parse_duration(&text.value()).map_err(|why| {
        let message = format!("invalid duration ({why}): {DURATIONS}");
        Error::new(text.span(), message)
    })
}

fn source_list(option: &Ident, input: ParseStream<'_>) -> Result<ExprArray> {
    const WRITE: &str = "write a list such as `[QuitSource::all_done()]`";
    equals(option, input, WRITE)?;
    match plain(input.parse()?) {
        Expr::Array(list) if list.elems.is_empty() => {
            let message = "an empty list adds nothing to the signals: name a quit source, or leave \
                `sources` out";
            Err(Error::new_spanned(list, message))
        }
        Expr::Array(list) => Ok(list),
        other => {
            let message = format!("`sources` takes a list of quit sources: {WRITE}");
            Err(Error::new_spanned(other, message))
        }
    }
}

/// The expression itself, without the invisible group that a `macro_rules!` macro wraps around `$list:expr`.
fn plain(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => plain(*group.expr),
        _ => expr,
    }
}

/// Something must be able to tell the program to quit.
fn check_sources(
    signals: Option<&LitBool>,
    sources: Option<&ExprArray>,
    end: Option<&End>,
) -> Result<()> {
    match signals {
        Some(no) if !no.value && sources.is_none() && end != Some(&End::WithBody) => {
            let message = "nothing could tell this program to quit: name a quit source, such as \
                `sources = [QuitSource::all_done()]`, or write `end = \"with_body\"`";
            Err(Error::new(no.span(), message))
        }
        _ => Ok(()),
    }
}

fn end_word(option: &Ident, input: ParseStream<'_>) -> Result<End> {
    const WRITE: &str = r#"write "on_quit_event" (the default) or "with_body""#;
    let word = string(option, input, WRITE)?;
    match word.value().as_str() {
        "on_quit_event" => Ok(End::OnQuitEvent),
        "with_body" => Ok(End::WithBody),
        _ => Err(Error::new(word.span(), format!("no such end: {WRITE}"))),
    }
}

fn signal_code(option: &Ident, input: ParseStream<'_>) -> Result<SignalExitCode> {
    const WRITE: &str = r#"write "0" (the default) or "128+n""#;
    let word = string(option, input, WRITE)?;
    match word.value().as_str() {
        "0" => Ok(SignalExitCode::Zero),
        "128+n" => Ok(SignalExitCode::Plus128),
        _ => {
            let message = format!("no such exit code: {WRITE}");
            Err(Error::new(word.span(), message))
        }
    }
}

fn start_word(option: &Ident, input: ParseStream<'_>) -> Result<Start> {
    const WRITE: &str = r#"write "after_body" (the default) or "before_body""#;
    let word = string(option, input, WRITE)?;
    match word.value().as_str() {
        "before_body" => Ok(Start::BeforeBody),
        "after_body" => Ok(Start::AfterBody),
        _ => Err(Error::new(word.span(), format!("unknown start: {WRITE}"))),
    }
}

/// Reads a value of the enum `of`, whose type the compiler checks. `such_as` is one of its variants.
fn policy(option: &Ident, input: ParseStream<'_>, of: &str, such_as: &str) -> Result<Expr> {
    let write = format!("write a policy such as `{of}::{such_as}`");
    equals(option, input, &write)?;
    match input.parse()? {
        Expr::Lit(text) => {
            let message = format!("`{option}` takes a value of `{of}`: {write}");
            Err(Error::new_spanned(text, message))
        }
        policy => Ok(policy),
    }
}

/// The words of an option, the default first, and the variants that they stand for.
type Words = [(&'static str, &'static str)];

const FAILURES_WHILE_QUITTING: [(&str, &str); 2] = [("count", "Count"), ("list_only", "ListOnly")];
const OUTPUTS: [(&str, &str); 4] = [
    ("all", "All"),
    ("quiet", "Quiet"),
    ("silent", "Silent"),
    ("tracing", "Tracing"),
];
const HOLDS: [(&str, &str); 3] = [
    ("never", "Never"),
    ("until_body_returns", "UntilBodyReturns"),
    ("until_report", "UntilReport"),
];

fn output_word(option: &Ident, input: ParseStream<'_>) -> Result<Variant> {
    let variant = word(option, input, &OUTPUTS)?;
    if variant == "Tracing" && !cfg!(feature = "tracing") {
        let message = "`output = \"tracing\"` needs the feature `tracing` of the crate quitter: run \
            `cargo add quitter --features tracing`";
        return Err(Error::new(variant.span(), message));
    }
    Ok(variant)
}

/// Reads one of `words`.
fn word(option: &Ident, input: ParseStream<'_>, words: &Words) -> Result<Variant> {
    let quoted: Vec<_> = words
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect();
    let write = match &quoted[..] {
        [default, between @ .., last] => {
            let between: String = between.iter().map(|word| format!(", {word}")).collect();
            format!("write {default} (the default){between} or {last}")
        }
        _ => unreachable!("an option has a choice"),
    };
    let text = string(option, input, &write)?;
    let value = text.value();
    match words.iter().find(|(word, _)| *word == value) {
        Some((_, variant)) => Ok(Ident::new(variant, text.span())),
        None => {
            let message = format!("`{option}` has no such choice: {write}");
            Err(Error::new(text.span(), message))
        }
    }
}

/// Reads an expression that is a function. The compiler checks its type.
fn function(option: &Ident, input: ParseStream<'_>) -> Result<Expr> {
    const WRITE: &str = "write the name of a function or a closure";
    equals(option, input, WRITE)?;
    match input.parse()? {
        Expr::Lit(text) => {
            let message = format!("`{option}` takes a function: {WRITE}");
            Err(Error::new_spanned(text, message))
        }
        function => Ok(function),
    }
}

/// Reads the name of a signal that a program may handle.
fn signal_name(option: &Ident, input: ParseStream<'_>) -> Result<LitStr> {
    const WRITE: &str = "write \"SIGUSR1\", \"SIGUSR2\", \"SIGQUIT\" or the name of another signal that a \
        program may be sent";
    const NAMES: [&str; 12] = [
        "SIGUSR1",
        "SIGUSR2",
        "SIGQUIT",
        "SIGHUP",
        "SIGINT",
        "SIGTERM",
        "SIGALRM",
        "SIGVTALRM",
        "SIGPROF",
        "SIGURG",
        "SIGWINCH",
        "SIGIO",
    ];
    let name = string(option, input, WRITE)?;
    match NAMES.contains(&&*name.value()) {
        true => Ok(name),
        false => {
            let message = format!("no such signal for `{option}`: {WRITE}");
            Err(Error::new(name.span(), message))
        }
    }
}

/// Reads `= true`, `= false`, or nothing, which means `true`.
fn orphans(option: &Ident, input: ParseStream<'_>) -> Result<LitBool> {
    if !cfg!(feature = "process") {
        let message = format!(
            "`{option}` needs the feature `process` of the crate quitter: run \
            `cargo add quitter --features process`"
        );
        return Err(Error::new(option.span(), message));
    }
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(LitBool::new(true, option.span()));
    }
    if input.peek(Token![=]) {
        return yes_or_no(option, input);
    }
    let message = format!("write `{option}` alone, or `{option} = true` or `false`");
    Err(Error::new(input.span(), message))
}

fn yes_or_no(option: &Ident, input: ParseStream<'_>) -> Result<LitBool> {
    const WRITE: &str = "write `true` or `false`";
    equals(option, input, WRITE)?;
    let start = input.span();
    let wrong = |_| Error::new(start, format!("`{option}` takes a bool: {WRITE}"));
    input.parse().map_err(wrong)
}

fn routine_name(option: &Ident, input: ParseStream<'_>) -> Result<LitStr> {
    const WRITE: &str = r#"write a name such as "heartbeat""#;
    let name = string(option, input, WRITE)?;
    if name.value().trim().is_empty() {
        let message = format!(
            "reports show a routine by its name, which cannot be empty: {WRITE}, or remove `name`"
        );
        return Err(Error::new(name.span(), message));
    }
    Ok(name)
}

fn no_value(option: &Ident, input: ParseStream<'_>) -> Result<()> {
    if !input.peek(Token![=]) && !input.peek(token::Paren) {
        return Ok(());
    }
    let message = format!("`{option}` takes no value: write `{option}` alone");
    Err(Error::new(input.span(), message))
}

fn crate_path(option: &Ident, input: ParseStream<'_>) -> Result<Path> {
    const WRITE: &str = "write the path of the crate quitter, such as `crate = ::quitter`";
    equals(option, input, WRITE)?;
    let path = input.call(Path::parse_mod_style);
    path.map_err(|error| Error::new(error.span(), format!("`crate` takes a path: {WRITE}")))
}

/// Reads `= "text"`. The error says what to `write` instead.
pub(crate) fn string(option: &Ident, input: ParseStream<'_>, write: &str) -> Result<LitStr> {
    equals(option, input, write)?;
    if input.peek(LitStr) {
        return input.parse();
    }
    let start = input.span();
    let message = format!("`{option}` takes a string: {write}");
    // Parsing the whole expression makes the error point at all of it.
    match input.parse::<Expr>() {
        Ok(other) => Err(Error::new_spanned(other, message)),
        Err(_) => Err(Error::new(start, message)),
    }
}

/// Reads the `=` of an option that has a value.
pub(crate) fn equals(option: &Ident, input: ParseStream<'_>, write: &str) -> Result<()> {
    let equals: Option<Token![=]> = input.parse()?;
    if equals.is_some() && !input.is_empty() && !input.peek(Token![,]) {
        return Ok(());
    }
    let message = format!("`{option}` has no value: {write}");
    Err(Error::new(option.span(), message))
}
