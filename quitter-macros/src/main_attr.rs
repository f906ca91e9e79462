//! `#[quitter::main]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Error, Result};
use syn::{Path, ReturnType, Signature, Type, parse_quote};

use crate::args::MainArgs;
use crate::function::{Function, is_named, is_shared_reference, plain};
use crate::place::{Place, generated};
use crate::runtime;

const NOT_A_FUNCTION: &str = "`#[quitter::main]` belongs on a function: write `fn main() { .. }`";

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::parse(item.clone(), NOT_A_FUNCTION) {
        Ok(function) => function,
        Err(error) => return with_error(&error, &item),
    };
    let args = syn::parse2(args).and_then(|args| {
        check(&function)?;
        runtime::check(&args, &function)?;
        Ok(args)
    });
    match args {
        Ok(args) => expand(&args, function),
        Err(error) => with_error(&error, &usable(function)),
    }
}

fn check(function: &Function) -> Result<()> {
    runtime::check_alone(function)?;
    let sig = &function.sig;
    let is_async = sig.asyncness.map_or("", |_| "async ");
    let parameters = function.parameters();
    let parameter = if parameters.is_empty() {
        ""
    } else {
        "main: &MainQuitter"
    };
    let write = format!("{is_async}fn main({parameter})");
    function.check_plain("`main`", &write)?;
    if sig.ident != "main" {
        let message = "`#[quitter::main]` belongs on the function that the program starts with: \
            name it `main`";
        return Err(Error::new(sig.ident.span(), message));
    }
    if let Some(further) = sig.inputs.get(1) {
        let message = format!("`main` takes its quitter and no other parameter: write `{write}`");
        return Err(Error::new_spanned(further, message));
    }
    match parameters.first() {
        Some(ty) if !is_shared_reference(ty) => {
            let message = format!("`main` takes its quitter by reference: write `{write}`");
            Err(Error::new_spanned(ty, message))
        }
        Some(ty) if is_named(ty, &["Quitter", "RoutineQuitter"]) => {
            let message = format!("the quitter of `main` is the `MainQuitter`: write `{write}`");
            Err(Error::new_spanned(ty, message))
        }
        _ => Ok(()),
    }
}

fn expand(args: &MainArgs, function: Function) -> TokenStream {
    let krate = &args.krate();
    let run = run(args, &function);
    let settings = settings(args);
    let known_error = known_error(krate, &function.sig.output);
    let is_free = function.is_free("`main`");
    let Function {
        attrs,
        vis,
        mut sig,
        body,
    } = function;
    let main = sig.ident.clone();
    // The inner function starts with a generated token, so that no lint asks to make it `const`.
    sig.fn_token.span = Span::call_site();
    if sig.inputs.is_empty() && !is_called_without(&sig) {
        sig.inputs.push(parse_quote!(_: &#krate::MainQuitter));
    }
    // The inner function is called `main` too: any other name could shadow one that the options use.
    quote! {
        #is_free

        #(#attrs)*
        #vis fn #main() -> #krate::ExitReport {
            #sig #body
            let builder = #krate::MainQuitter::builder()#settings #known_error;
            #run
        }
    }
}

/// Runs the body under `builder`. Errors about its signature point at the signature.
fn run(args: &MainArgs, function: &Function) -> TokenStream {
    let krate = &args.krate();
    let parameter = Place::of(&function.parameters().first());
    let output = Place::of(&function.sig.output);
    let body = generated(&function.sig.ident);
    let body = match (is_called_without(&function.sig), function.sig.asyncness) {
        (true, Some(_)) => quote!(async |_: &#krate::MainQuitter| #body().await),
        (true, None) => quote!(|_: &#krate::MainQuitter| #body()),
        (false, _) => quote!(#body),
    };
    let body = parameter.call(&quote!(::core::convert::identity), &body);
    if function.sig.asyncness.is_some() {
        let runtime = runtime::make(args);
        return output.call(
            &quote!(#krate::MainQuitterBuilder::run_async),
            &quote!(builder, #runtime, #body),
        );
    }
    output.call(
        &quote!(#krate::MainQuitterBuilder::run),
        &quote!(builder, #body),
    )
}

/// Finds out whether the error of a `Result` gives access to a standard error without being one, as
/// `anyhow::Error` does. Method resolution decides between two traits.
fn known_error(krate: &Path, output: &ReturnType) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = output else {
        return None;
    };
    let Type::Path(path) = plain(ty) else {
        return None;
    };
    // `impl Trait` can be written only in the signature.
    let is_result = path.path.segments.last()?.ident == "Result" && !has_impl(quote!(#ty));
    is_result.then(|| {
        quote!(.known_error({
            use #krate::__private::{KnownError as _, UnknownError as _};
            (&#krate::__private::ErrorOf::<#ty>::new()).as_error()
        }))
    })
}

/// Whether the inner function does not take the quitter: it has no parameter, and its result contains an
/// `impl Trait`. That type would contain the lifetime of the quitter.
fn is_called_without(sig: &Signature) -> bool {
    let output = &sig.output;
    sig.inputs.is_empty() && has_impl(quote!(#output))
}

fn has_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => has_impl(group.stream()),
        _ => false,
    })
}

/// The builder calls for the options.
fn settings(args: &MainArgs) -> TokenStream {
    let krate = &args.krate();
    let timeout = args.timeout.map(|timeout| {
        let (secs, nanos) = (timeout.as_secs(), timeout.subsec_nanos());
        quote!(.timeout(::core::time::Duration::new(#secs, #nanos)))
    });
    let sources = args.sources.as_ref().map(|list| quote!(.sources(#list)));
    let start = args.start.as_ref();
    let start = start.map(|start| quote!(.start(#krate::StartRoutines::#start)));
    let signals = args
        .signals
        .as_ref()
        .map(|signals| quote!(.signals(#signals)));
    let end = args.end.as_ref();
    let end = end.map(|end| quote!(.end(#krate::End::#end)));
    let code = args.signal_exit_code.as_ref();
    let code = code.map(|code| quote!(.signal_exit_code(#krate::SignalExitCode::#code)));
    let second_signal = args.second_signal.as_ref();
    let second_signal = second_signal.map(|policy| quote!(.second_signal(#policy)));
    let progress_lines = args.progress_lines.as_ref();
    let progress_lines = progress_lines.map(|said| quote!(.progress_lines(#said)));
    let failures = args.failures_while_quitting.as_ref();
    let failures = failures
        .map(|policy| quote!(.failures_while_quitting(#krate::FailuresWhileQuitting::#policy)));
    let dump_on = args.dump_on.as_ref();
    let dump_on = dump_on.map(|signal| quote!(.dump_on_named(#signal)));
    let reap_orphans = args.reap_orphans.as_ref();
    let reap_orphans = reap_orphans.map(|are_reaped| quote!(.reap_orphans(#are_reaped)));
    let output = output(args);
    quote! {
        #timeout #signals #sources #start #end #code #second_signal #progress_lines #failures #dump_on
        #reap_orphans #output
    }
}

/// The builder calls for the options about output.
fn output(args: &MainArgs) -> TokenStream {
    let krate = &args.krate();
    let output = args.output.as_ref();
    let output = output.map(|output| quote!(.output(#krate::Output::#output)));
    let notices = args.notices.as_ref();
    let notices = notices.map(|function| quote!(.notices(#function)));
    let hold = args.hold_output.as_ref();
    let hold = hold.map(|hold| quote!(.hold_output(#krate::HoldOutput::#hold)));
    let before_report = args.before_report.as_ref();
    let before_report = before_report.map(|function| quote!(.before_report(#function)));
    quote!(#output #notices #hold #before_report)
}

/// A `fn main` for a program whose own `main` was refused, to avoid further errors about it. The
/// refused function is kept inside, where more kinds of functions are allowed.
fn usable(function: Function) -> TokenStream {
    let Function {
        mut attrs,
        vis,
        sig,
        body,
    } = function;
    attrs.retain(|attr| !runtime::makes_a_runtime(attr));
    let main = &sig.ident;
    if main != "main" || sig.receiver().is_some() {
        return quote!(#(#attrs)* #vis #sig #body);
    }
    quote! {
        #(#attrs)*
        #vis fn #main() {
            #[allow(dead_code)]
            #sig #body
        }
    }
}

fn with_error(error: &Error, item: &TokenStream) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #item)
}
