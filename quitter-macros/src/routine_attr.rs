//! `#[quitter::routine]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;
use syn::ext::IdentExt;
use syn::parse::{Error, Result};

use crate::args::RoutineArgs;
use crate::function::{Function, is_shared_reference};
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
    let write = format!("fn {}(q: &RoutineQuitter)", sig.ident);
    function.check_plain("a routine", &write)?;
    let Some(ty) = function.parameters().first().copied() else {
        let message = format!("a routine asks its quitter whether to quit: write `{write}`");
        return Err(Error::new(sig.paren_token.span.join(), message));
    };
    if let Some(further) = sig.inputs.get(1) {
        let message = format!(
            "a routine takes its quitter and nothing else: write `{write}`, or hand over more with \
            a closure, `quitter.add_routine(move |q| ..)`"
        );
        return Err(Error::new_spanned(further, message));
    }
    if !is_shared_reference(ty) {
        let message = format!("a routine takes its quitter by reference: write `{write}`");
        return Err(Error::new_spanned(ty, message));
    }
    Ok(())
}

fn expand(args: &RoutineArgs, function: &Function) -> TokenStream {
    let krate = &args.krate;
    let cfgs = function.cfgs();
    let quiet = function.is_deprecated();
    let quiet = quiet.then(|| quote!(#[allow(deprecated)]));
    let registered = registered(args, function);
    quote! {
        #(#cfgs)*
        #quiet
        const _: () = {
            use #krate::__private;

            __private::submit! { #registered }
        };
    }
}

/// The registration as a constant expression.
fn registered(args: &RoutineArgs, function: &Function) -> TokenStream {
    let ident = &function.sig.ident;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => LitStr::new(&ident.unraw().to_string(), ident.span()),
    };
    let automatic = !args.manual;
    let routine = generated(ident);
    let add = add(function, &routine);
    let arguments = quote_spanned! {Span::mixed_site()=>
        #name, #automatic, || __private::type_id_of(&#routine), |quitter| #add
    };
    // `new` asks for its caller. With the span of the user's own name that is the line of the
    // function, else it would be that of the attribute.
    quote_spanned!(ident.span()=> __private::RegisteredRoutine::new(#arguments))
}

/// Adds the routine to `quitter`. What is wrong with its signature is shown in the signature.
fn add(function: &Function, routine: &Ident) -> TokenStream {
    let parameter = Place::of(&function.parameters().first());
    let output = Place::of(&function.sig.output);
    let identity = quote!(::core::convert::identity);
    let routine = parameter.call(&identity, &quote!(#routine));
    let arguments = quote_spanned!(Span::mixed_site()=> quitter, #routine);
    output.call(&quote!(__private::Quitter::add_routine), &arguments)
}
