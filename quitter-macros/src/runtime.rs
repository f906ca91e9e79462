//! The tokio runtime of an `async fn main`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Error, ParseStream, Result};
use syn::{Attribute, LitInt, LitStr};

use crate::args::{MainArgs, equals, string};
use crate::function::Function;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
}

/// The value of a runtime option, after its name in the attribute.
pub(crate) type Of<T> = (Ident, T);

pub(crate) fn flavor(option: &Ident, input: ParseStream<'_>) -> Result<Of<Flavor>> {
    const WRITE: &str = r#"write "multi_thread" (the default) or "current_thread""#;
    let word = string(option, input, WRITE)?;
    let flavor = match word.value().as_str() {
        "multi_thread" => Flavor::MultiThread,
        "current_thread" => Flavor::CurrentThread,
        _ => return Err(Error::new(word.span(), format!("no such flavor: {WRITE}"))),
    };
    Ok((option.clone(), flavor))
}

pub(crate) fn worker_threads(option: &Ident, input: ParseStream<'_>) -> Result<Of<LitInt>> {
    const WRITE: &str = "write a number such as `worker_threads = 4`";
    equals(option, input, WRITE)?;
    let start = input.span();
    let count = input.parse::<LitInt>();
    match count {
        Ok(count) if count.base10_parse::<usize>().is_ok_and(|count| count > 0) => {
            Ok((option.clone(), count))
        }
        _ => {
            let message = format!("`worker_threads` takes a number of at least one: {WRITE}");
            Err(Error::new(start, message))
        }
    }
}

/// Checks that the function and the options agree on whether there is a runtime.
pub(crate) fn check(args: &MainArgs, function: &Function) -> Result<()> {
    let of_runtime = args.flavor.as_ref().map(|(option, _)| option);
    let of_runtime = of_runtime.or(args.worker_threads.as_ref().map(|(option, _)| option));
    match (function.sig.asyncness, of_runtime) {
        (None, Some(option)) => {
            let message = format!(
                "`{option}` is for the tokio runtime of an async `main`: write `async fn main`, or \
                remove `{option}`"
            );
            return Err(Error::new(option.span(), message));
        }
        (Some(keyword), _) if !cfg!(feature = "tokio") => {
            let message = "an async `main` needs the feature `tokio` of the crate quitter: run \
                `cargo add quitter --features tokio`";
            return Err(Error::new_spanned(keyword, message));
        }
        _ => {}
    }
    match (&args.flavor, &args.worker_threads) {
        (Some((_, Flavor::CurrentThread)), Some((option, _))) => {
            let message = "a runtime of the flavor \"current_thread\" has no worker threads: remove \
                `worker_threads`";
            Err(Error::new(option.span(), message))
        }
        _ => Ok(()),
    }
}

const ONE_ATTRIBUTE: &str = "`#[quitter::main]` makes the runtime: remove the other attribute, and \
    write `#[quitter::main] async fn main()`; flavor and worker threads are options, \
    `#[quitter::main(flavor = \"current_thread\")]`";

/// Refuses a second attribute that makes a runtime. One below is still there; one above has been expanded,
/// and is recognised by the words of its panic.
pub(crate) fn check_alone(function: &Function) -> Result<()> {
    if let Some(other) = function.attrs.iter().find(|attr| makes_a_runtime(attr)) {
        return Err(Error::new_spanned(other, ONE_ATTRIBUTE));
    }
    let is_expanded = function.sig.asyncness.is_none() && says(function.body.stream(), EXPECTED);
    match is_expanded {
        true => Err(Error::new(function.sig.ident.span(), ONE_ATTRIBUTE)),
        false => Ok(()),
    }
}

/// Whether this is an attribute such as `#[tokio::main]`, which may have been imported.
pub(crate) fn makes_a_runtime(attr: &Attribute) -> bool {
    let last = attr.path().segments.last();
    last.is_some_and(|last| last.ident == "main")
}

/// The words with which `#[tokio::main]` panics if the runtime fails. No other code has them.
const EXPECTED: &str = "Failed building the Runtime";

fn says(tokens: TokenStream, text: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => says(group.stream(), text),
        TokenTree::Literal(literal) => {
            let literal = syn::parse2::<LitStr>(TokenTree::Literal(literal).into());
            literal.is_ok_and(|literal| literal.value() == text)
        }
        _ => false,
    })
}

/// A closure that makes the runtime. It names the program's own tokio, whose features decide what is
/// available.
pub(crate) fn make(args: &MainArgs) -> TokenStream {
    let flavor = match &args.flavor {
        Some((_, Flavor::CurrentThread)) => quote!(new_current_thread),
        Some((_, Flavor::MultiThread)) | None => quote!(new_multi_thread),
    };
    let threads = args.worker_threads.as_ref();
    let threads = threads.map(|(_, count)| quote!(.worker_threads(#count)));
    quote!(|| ::tokio::runtime::Builder::#flavor()#threads.enable_all().build())
}
