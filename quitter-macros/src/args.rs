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
`second_signal = SecondSignal::Ignore`, `signal_exit_code = \"raise\"`,
`failures_while_quitting = \"list_only\"`, `progress_lines = false`,
`output = \"quiet\"`, `notices = function`, `hold_output = \"until_report\"`,
`before_report = function`, `dump_on = \"SIGUSR1\"`, `reap_orphans`, `crate = path`,
and on an `async fn` `flavor = \"current_thread\"` and `worker_threads = 4`";
const ROUTINE_OPTIONS: &str = "`#[quitter::routine]` takes `name = \"…\"`, `manual`, `on_failure = OnFailure::Report` and `crate = path`";
const DURATIONS: &str = r#"write a duration such as "2s", "500ms" or "1m 30s""#;

/// The options of `#[quitter::main]`.
#[derive(Default)]
pub(crate) struct MainArgs {
    pub(crate) timeout: Option<Duration>,
    pub(crate) sources: Option<ExprArray>,
    pub(crate) signals: Option<LitBool>,
    pub(crate) start: Option<Variant>,
    pub(crate) end: Option<Variant>,
    pub(crate) signal_exit_code: Option<Variant>,
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
    krate: Option<Path>,
}

/// The variant of a public enum that a word stands for.
pub(crate) type Variant = Ident;

impl Parse for MainArgs {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        for_each_option(input, MAIN_OPTIONS, |option| {
            match option.to_string().as_str() {
                "timeout" => once(&mut args.timeout, option, duration(option, input)?),
                "sources" => once(&mut args.sources, option, source_list(option, input)?),
                "signals" => once(&mut args.signals, option, yes_or_no(option, input)?),
                "end" => once(
                    &mut args.end,
                    option,
                    word_or(option, input, &ENDS, "no such end")?,
                ),
                "signal_exit_code" => once(
                    &mut args.signal_exit_code,
                    option,
                    word_or(option, input, &SIGNAL_EXIT_CODES, "no such exit code")?,
                ),
                "start" => once(
                    &mut args.start,
                    option,
                    word_or(option, input, &STARTS, "unknown start")?,
                ),
                "second_signal" => {
                    let policy = policy(option, input, "SecondSignal", "Ignore")?;
                    once(&mut args.second_signal, option, policy)
                }
                "progress_lines" => {
                    once(&mut args.progress_lines, option, yes_or_no(option, input)?)
                }
                "failures_while_quitting" => once(
                    &mut args.failures_while_quitting,
                    option,
                    word(option, input, &FAILURES_WHILE_QUITTING)?,
                ),
                "output" => once(&mut args.output, option, output_word(option, input)?),
                "notices" => once(&mut args.notices, option, function(option, input)?),
                "hold_output" => once(&mut args.hold_output, option, word(option, input, &HOLDS)?),
                "before_report" => once(&mut args.before_report, option, function(option, input)?),
                "dump_on" => once(&mut args.dump_on, option, signal_name(option, input)?),
                "reap_orphans" => once(&mut args.reap_orphans, option, orphans(option, input)?),
                "flavor" => once(&mut args.flavor, option, runtime::flavor(option, input)?),
                "worker_threads" => {
                    let count = runtime::worker_threads(option, input)?;
                    once(&mut args.worker_threads, option, count)
                }
                "crate" => once(&mut args.krate, option, crate_path(option, input)?),
                _ => Err(unknown(option, MAIN_OPTIONS)),
            }
        })?;
        check_sources(&args)?;
        Ok(args)
    }
}

impl MainArgs {
    pub(crate) fn krate(&self) -> Path {
        self.krate.clone().unwrap_or_else(facade)
    }
}

/// The options of `#[quitter::routine]`.
#[derive(Default)]
pub(crate) struct RoutineArgs {
    pub(crate) name: Option<LitStr>,
    pub(crate) manual: Option<()>,
    pub(crate) on_failure: Option<Expr>,
    krate: Option<Path>,
}

impl Parse for RoutineArgs {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        for_each_option(input, ROUTINE_OPTIONS, |option| {
            match option.to_string().as_str() {
                "name" => once(&mut args.name, option, routine_name(option, input)?),
                "manual" => once(&mut args.manual, option, no_value(option, input)?),
                "on_failure" => {
                    let policy = policy(option, input, "OnFailure", "Report")?;
                    once(&mut args.on_failure, option, policy)
                }
                "crate" => once(&mut args.krate, option, crate_path(option, input)?),
                _ => Err(unknown(option, ROUTINE_OPTIONS)),
            }
        })?;
        Ok(args)
    }
}

impl RoutineArgs {
    pub(crate) fn krate(&self) -> Path {
        self.krate.clone().unwrap_or_else(facade)
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
fn check_sources(args: &MainArgs) -> Result<()> {
    let ends_with_body = args.end.as_ref().is_some_and(|end| end == "WithBody");
    match &args.signals {
        Some(no) if !no.value && args.sources.is_none() && !ends_with_body => {
            let message = "nothing could tell this program to quit: name a quit source, such as \
                `sources = [QuitSource::all_done()]`, or write `end = \"with_body\"`";
            Err(Error::new(no.span(), message))
        }
        _ => Ok(()),
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

const STARTS: [(&str, &str); 2] = [("after_body", "AfterBody"), ("before_body", "BeforeBody")];

const ENDS: [(&str, &str); 2] = [("on_quit_event", "OnQuitEvent"), ("with_body", "WithBody")];

const SIGNAL_EXIT_CODES: [(&str, &str); 3] =
    [("0", "Zero"), ("128+n", "Plus128"), ("raise", "Raise")];

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
    let unknown = format!("`{option}` has no such choice");
    word_or(option, input, words, &unknown)
}

/// Reads one of `words`. The error for any other word begins with `unknown`.
fn word_or(
    option: &Ident,
    input: ParseStream<'_>,
    words: &Words,
    unknown: &str,
) -> Result<Variant> {
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
            let message = format!("{unknown}: {write}");
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
