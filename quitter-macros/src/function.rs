//! The annotated function, and the checks that both attributes share.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Error, ParseStream, Parser, Result};
use syn::{Attribute, FnArg, Safety, Signature, Token, Type, Visibility, token};

use crate::place::generated;

/// An annotated function. Its body stays unparsed: no check needs it.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Function {
    /// Parses a function. For any other item the error is `otherwise`, at the item's keyword.
    pub(crate) fn parse(tokens: TokenStream, otherwise: &str) -> Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_outer)?;
            let vis = input.parse()?;
            let start = input.span();
            let sig = input.parse().map_err(|_| Error::new(start, otherwise))?;
            if !input.peek(token::Brace) {
                return Err(Error::new(start, otherwise));
            }
            let body = input.call(block)?;
            Ok(Function {
                attrs,
                vis,
                sig,
                body,
            })
        };
        parser.parse2(tokens)
    }

    /// Refuses anything but a plain free function, which may be `async`. In the error, `what` says what
    /// the function is for, and `write` is the correct signature.
    pub(crate) fn check_plain(&self, what: &str, write: &str) -> Result<()> {
        let sig = &self.sig;
        let params = (!sig.generics.params.is_empty()).then_some(&sig.generics);
        let faults = [
            (tokens(sig.receiver()), "a method, only a free function"),
            (tokens(sig.constness), "`const`"),
            (tokens(unsafety(sig)), "`unsafe`"),
            (tokens(sig.abi.as_ref()), "`extern`"),
            (tokens(params), "generic"),
            (
                tokens(sig.generics.where_clause.as_ref()),
                "restricted by a `where` clause",
            ),
        ];
        for (found, fault) in faults {
            if let Some(found) = found {
                let message = format!("{what} cannot be {fault}: write `{write}`");
                return Err(Error::new_spanned(found, message));
            }
        }
        Ok(())
    }

    /// A check to put beside the function: an error if it is an associated function. In the error, `what`
    /// says what the function is for.
    ///
    /// An attribute sees the function, but not what contains it. In a pattern, however, a plain name stands
    /// for a constant only if the constant needs no path. In an `impl` or `trait` it needs one, so there the
    /// name is a new variable, which matches everything.
    pub(crate) fn is_free(&self, what: &str) -> TokenStream {
        let message = format!(
            "{what} cannot be an associated function: move it out of the `impl` or `trait`"
        );
        let ident = &self.sig.ident;
        let span = generated(ident).span();
        let is_free = Ident::new(&format!("__quitter_{}_is_free", ident.unraw()), span);
        quote_spanned! {span=>
            #[doc(hidden)]
            #[allow(dead_code, non_upper_case_globals)]
            const #is_free: bool = {
                #[allow(unused_variables, unreachable_patterns)]
                const _: () = match false {
                    #is_free => ::core::panic!(#message),
                    false => {}
                };
                true
            };
        }
    }

    /// The types of the parameters, in order.
    pub(crate) fn parameters(&self) -> Vec<&Type> {
        let typed = self.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(&*parameter.ty),
            FnArg::Receiver(_) => None,
        });
        typed.collect()
    }

    /// Whether uses of the function, including generated ones, cause a warning.
    pub(crate) fn is_deprecated(&self) -> bool {
        let mut attrs = self.attrs.iter();
        attrs.any(|attr| attr.path().is_ident("deprecated"))
    }
}

/// Reads a block, even one that a `macro_rules!` macro passes on as `$body:block`.
fn block(input: ParseStream<'_>) -> Result<Group> {
    input.step(|cursor| match cursor.token_tree() {
        Some((TokenTree::Group(group), rest)) => Ok((visible(group), rest)),
        _ => Err(cursor.error("expected a block")),
    })
}

/// The group inside invisible ones.
fn visible(group: Group) -> Group {
    match (group.delimiter(), group.stream().into_iter().next()) {
        (Delimiter::None, Some(TokenTree::Group(inner))) => visible(inner),
        _ => group,
    }
}

/// The type itself, without the invisible group that a `macro_rules!` macro wraps around `$ty:ty`.
pub(crate) fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        _ => ty,
    }
}

/// Whether `ty` is written as a plain shared reference to a named type, such as `&RoutineQuitter`.
pub(crate) fn is_shared_reference(ty: &Type) -> bool {
    match plain(ty) {
        Type::Reference(reference) => {
            reference.mutability.is_none()
                && reference.lifetime.as_ref().is_none_or(|l| l.ident == "_")
                && matches!(plain(&reference.elem), Type::Path(_))
        }
        _ => false,
    }
}

/// Whether `ty` is written as one of these names, with or without a path or a reference.
pub(crate) fn is_named(ty: &Type, names: &[&str]) -> bool {
    match plain(ty) {
        Type::Reference(reference) => is_named(&reference.elem, names),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| names.iter().any(|name| last.ident == name))
        }
        _ => false,
    }
}

fn tokens(found: Option<impl ToTokens>) -> Option<TokenStream> {
    found.map(ToTokens::into_token_stream)
}

fn unsafety(sig: &Signature) -> Option<Token![unsafe]> {
    match sig.safety {
        Safety::Unsafe(unsafety) => Some(unsafety),
        _ => None,
    }
}
