//! Spans that make errors in generated code point at what the user wrote.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

/// The first and the last span of something that the user wrote.
///
/// Stable Rust cannot join spans, but the compiler underlines an expression from its first token to
/// its last. So a generated expression starts with a token at `start` and ends with one at `end`.
pub(crate) struct Place {
    start: Span,
    end: Span,
}

impl Place {
    /// The place of `written`, or of the attribute if `written` is empty.
    pub(crate) fn of(written: &impl ToTokens) -> Self {
        let here = Span::call_site();
        let tokens = written.to_token_stream().into_iter();
        let mut spans = tokens.map(|token| here.located_at(token.span()));
        let start = spans.next().unwrap_or(here);
        let end = spans.last().unwrap_or(start);
        Place { start, end }
    }

    /// A function call. Errors about it point at this place.
    pub(crate) fn call(&self, function: &TokenStream, arguments: &TokenStream) -> TokenStream {
        let function = quote_spanned!(self.start=> (#function));
        let arguments = quote_spanned!(self.end=> (#arguments));
        quote!(#function #arguments)
    }
}

/// The same identifier marked as generated, which most lints ignore.
pub(crate) fn generated(ident: &Ident) -> Ident {
    let mut generated = ident.clone();
    generated.set_span(Span::call_site().located_at(ident.span()));
    generated
}
