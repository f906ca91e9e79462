//! Where the compiler shows what it finds wrong with generated code.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

/// The place of something that the user wrote.
///
/// Stable Rust cannot make one span out of several, but shows an expression from its first token to
/// its last. So generated expressions begin and end with a token of their own at the place.
pub(crate) struct Place {
    start: Span,
    end: Span,
}

impl Place {
    /// The place of `written`; that of the attribute where nothing is written.
    pub(crate) fn of(written: &impl ToTokens) -> Self {
        let here = Span::call_site();
        let tokens = written.to_token_stream().into_iter();
        let mut spans = tokens.map(|token| here.located_at(token.span()));
        let start = spans.next().unwrap_or(here);
        let end = spans.last().unwrap_or(start);
        Place { start, end }
    }

    /// A call that is shown here.
    pub(crate) fn call(&self, function: &TokenStream, arguments: &TokenStream) -> TokenStream {
        let function = quote_spanned!(self.start=> (#function));
        let arguments = quote_spanned!(self.end=> (#arguments));
        quote!(#function #arguments)
    }
}

/// A use of `ident` that counts as generated, which most lints leave alone.
pub(crate) fn generated(ident: &Ident) -> Ident {
    let mut generated = ident.clone();
    generated.set_span(Span::call_site().located_at(ident.span()));
    generated
}
