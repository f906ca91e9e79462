//! `#[quitter::routine]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Error, Result};
use syn::{LitStr, Type};

use crate::args::RoutineArgs;
use crate::function::{Function, is_named, is_shared_reference, plain};
use crate::place::{Place, generated};

const NOT_A_FUNCTION: &str = "`#[quitter::routine]` belongs on a function: \
    write `fn heartbeat(q: &RoutineQuitter) { .. }`";

pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let registration = Function::parse(item.clone(), NOT_A_FUNCTION).and_then(|function| {
        let args = syn::parse2(args)?;
        check(&function)?;
        Ok(expand(&args, &function))
    });
    let registration = registration.unwrap_or_else(Error::into_compile_error);
    quote!(#item #registration)
}

fn check(function: &Function) -> Result<()> {
    let sig = &function.sig;
    let is_async = sig.asyncness.is_some();
    let write = match is_async {
        true => format!("async fn {}(q: RoutineQuitter)", sig.ident),
        false => format!("fn {}(q: &RoutineQuitter)", sig.ident),
    };
    function.check_plain("a routine", &write)?;
    let Some(ty) = function.parameters().first().copied() else {
        let message =
            format!("a routine needs its quitter, to learn when to quit: write `{write}`");
        return Err(Error::new(sig.paren_token.span.join(), message));
    };
    if let Some(further) = sig.inputs.get(1) {
        let message = format!(
            "a routine takes its quitter and no other parameter: write `{write}`, or pass more \
            with a closure, `quitter.add_routine(move |q| ..)`"
        );
        return Err(Error::new_spanned(further, message));
    }
    if let (Some(keyword), false) = (sig.asyncness, cfg!(feature = "tokio")) {
        let message = "an async routine needs the feature `tokio` of the crate quitter: run \
            `cargo add quitter --features tokio`";
        return Err(Error::new_spanned(keyword, message));
    }
    // A task outlives the call of its function, and a reference would have to, too.
    let is_right = match is_async {
        true => !matches!(plain(ty), Type::Reference(_)),
        false => is_shared_reference(ty),
    };
    if !is_right {
        let (kind, way) = match is_async {
            true => ("an async routine", "by value"),
            false => ("a routine", "by reference"),
        };
        let message = format!("{kind} takes its quitter {way}: write `{write}`");
        return Err(Error::new_spanned(ty, message));
    }
    if is_named(ty, &["Quitter", "MainQuitter"]) {
        let message = format!("the quitter of a routine is a `RoutineQuitter`: write `{write}`");
        return Err(Error::new_spanned(ty, message));
    }
    Ok(())
}

fn expand(args: &RoutineArgs, function: &Function) -> TokenStream {
    let krate = &args.krate();
    let quiet = function.is_deprecated();
    let quiet = quiet.then(|| quote!(#[allow(deprecated)]));
    let name = name(args, function);
    let is_automatic = args.manual.is_none();
    let claim = is_automatic.then(|| claim(&name)).flatten();
    let registered = registered(&name, is_automatic, function);
    let on_failure = args.on_failure.as_ref();
    let on_failure = on_failure.map(|policy| quote!(.on_failure(#policy)));
    let registration = quote! {
        #quiet
        const _: () = {
            #claim

            use #krate::__private;

            __private::submit! { #registered #on_failure }
        };
    };
    let holder = in_a_struct(&function.sig.ident, &registration);
    let is_free = function.is_free("a routine");
    quote!(#is_free #holder)
}

/// Wraps the registration in a struct, which an `impl` refuses as a whole.
///
/// Without the struct, an associated function causes several errors about generated code. With it there is
/// one, before that of [`Function::is_free`].
fn in_a_struct(ident: &Ident, registration: &TokenStream) -> TokenStream {
    let span = generated(ident).span();
    let holder = Ident::new(&format!("__quitter_routine_{}", ident.unraw()), span);
    let array = quote!([u8; { #registration 1 }]);
    quote_spanned! {span=>
        #[allow(dead_code, non_camel_case_types, non_local_definitions)]
        struct #holder(#array);
    }
}

/// Makes a second automatic routine of this name in the same crate a compile error that shows both.
///
/// An exported macro belongs to the root of its crate, wherever it is defined, and can be defined there only
/// once. Nothing calls this one. Names that are not identifiers are compared when the program starts, as are
/// those of other crates.
fn claim(name: &LitStr) -> Option<TokenStream> {
    let text = format!("__quitter_automatic_routine_{}", name.value());
    let mut ident: Ident = syn::parse_str(&text).ok()?;
    let span = Span::call_site().located_at(name.span());
    ident.set_span(span);
    Some(quote_spanned! {span=>
        #[doc(hidden)]
        #[macro_export]
        macro_rules! #ident { () => {}; }
    })
}

/// The name of the routine in reports.
fn name(args: &RoutineArgs, function: &Function) -> LitStr {
    let ident = &function.sig.ident;
    let of_function = || LitStr::new(&ident.unraw().to_string(), ident.span());
    args.name.clone().unwrap_or_else(of_function)
}

/// The registration as a constant expression.
fn registered(name: &LitStr, automatic: bool, function: &Function) -> TokenStream {
    let ident = &function.sig.ident;
    let routine = generated(ident);
    let add = add(function, &routine);
    let arguments = quote_spanned! {Span::mixed_site()=>
        #name, #automatic, || __private::type_id_of(&#routine), |routine| #add
    };
    // `new` records its caller's location. With this span that is the line of the function, not of
    // the attribute.
    quote_spanned!(ident.span()=> __private::RegisteredRoutine::new(#arguments))
}

/// Adds the function as the described `routine`. Errors about its signature point at the signature.
fn add(function: &Function, routine: &Ident) -> TokenStream {
    let parameter = Place::of(&function.parameters().first());
    let output = Place::of(&function.sig.output);
    let identity = quote!(::core::convert::identity);
    let routine = parameter.call(&identity, &quote!(#routine));
    let arguments = quote_spanned!(Span::mixed_site()=> routine, #routine);
    let add = match function.sig.asyncness {
        Some(_) => quote!(__private::RoutineBuilder::add_task),
        None => quote!(__private::RoutineBuilder::add),
    };
    output.call(&add, &arguments)
}
