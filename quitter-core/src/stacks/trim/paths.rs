//! The paths of functions, without what a reader does not need.

/// A function's path without types in angle brackets:
/// "<std::net::TcpStream as std::io::Read>::read" is "std::net::TcpStream::read".
pub(super) fn path_of(function: &str) -> String {
    let (start, rest) = match function.strip_prefix('<') {
        Some(inner) => match closing(inner) {
            Some(end) => (known_type(&inner[..end]), &inner[end + 1..]),
            None => return function.to_owned(),
        },
        None => (String::new(), function),
    };
    start + &without_brackets(rest).replace("{{closure}}", "{closure}")
}

/// The position of the bracket that closes the one opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            // Not the ">" of "fn() -> T".
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}

/// The type of "store::Store as Trait", or the trait where the type is a parameter.
fn known_type(text: &str) -> String {
    let of = self_type(text);
    let is_parameter = !of.contains("::") && of.starts_with(|c: char| c.is_ascii_uppercase());
    let of_trait = text
        .strip_prefix(&of)
        .and_then(|rest| rest.strip_prefix(" as "));
    match of_trait.filter(|_| is_parameter) {
        Some(of_trait) => path_of(of_trait),
        None => of,
    }
}

/// The type of "T as Trait", by its path.
fn self_type(text: &str) -> String {
    let mut depth = 0;
    let mut end = text.len();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if before != '-' => depth -= 1,
            ')' | ']' => depth -= 1,
            ' ' if depth == 0 && text[at..].starts_with(" as ") => {
                end = at;
                break;
            }
            _ => {}
        }
        before = c;
    }
    let mut of = text[..end].trim();
    while let Some(inner) = ["&mut ", "&", "dyn "]
        .iter()
        .find_map(|sign| of.strip_prefix(sign))
    {
        of = inner;
    }
    path_of(of)
}

/// Removes everything in angle brackets, and the "::" before it. The type of an `impl` block of the same
/// crate replaces its module: "store::flush::<impl store::Store>::flush" is "store::Store::flush".
pub(super) fn without_brackets(text: &str) -> String {
    let mut path = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let inner = &rest[at + 1..];
        let Some(end) = closing(inner) else {
            break;
        };
        path.push_str(rest[..at].strip_suffix("::").unwrap_or(&rest[..at]));
        if let Some(of) = type_of_impl(&inner[..end])
            && crate_of(&of) == crate_of(&path)
        {
            path = of;
        }
        rest = &inner[end + 1..];
    }
    path + rest
}

/// The type of "impl store::Store", or of "impl Trait for store::Store".
fn type_of_impl(text: &str) -> Option<String> {
    let of = text.strip_prefix("impl ")?;
    Some(self_type(of.rsplit(" for ").next().unwrap_or(of)))
}

fn crate_of(path: &str) -> Option<&str> {
    path.split_once("::").map(|(name, _)| name)
}

/// "store::flush" for "store::flush::{closure}", the name of its `async` code. Line tables alone have
/// "{async_fn#0}".
pub(super) fn without_closures(mut path: &str) -> &str {
    while let Some((function, last)) = path.rsplit_once("::")
        && last.starts_with('{')
    {
        path = function;
    }
    match path {
        _ if path.starts_with("{async_fn#") => "async fn",
        _ if path.starts_with("{async_block#") => "async block",
        path => path,
    }
}

/// Removes the prefixes of names that glibc uses internally: "__GI___libc_read" is "read".
pub(super) fn without_prefixes(name: &str) -> &str {
    let public = name.strip_prefix("__GI_").unwrap_or(name);
    let public = public.strip_prefix("__").unwrap_or(public);
    public.strip_prefix("libc_").unwrap_or(public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_generics_references_and_traits() {
        for (long, short) in [
            ("store::flush", "store::flush"),
            (
                "std::sync::mpsc::Receiver<T>::recv",
                "std::sync::mpsc::Receiver::recv",
            ),
            (
                "<std::sync::mpsc::Receiver<(u8, fn() -> u8)>>::recv",
                "std::sync::mpsc::Receiver::recv",
            ),
            (
                "<&mut std::net::TcpStream as std::io::Read>::read",
                "std::net::TcpStream::read",
            ),
            (
                "store::map::<u8, store::F<dyn Fn() -> u8>>::{closure#0}",
                "store::map::{closure#0}",
            ),
            ("store::main::{{closure}}", "store::main::{closure}"),
            (
                "store::flush::<impl store::Store<T>>::flush",
                "store::Store::flush",
            ),
            (
                "store::text::<impl core::fmt::Display for store::Store>::fmt",
                "store::Store::fmt",
            ),
            ("alloc::slice::<impl [T]>::sort", "alloc::slice::sort"),
            (
                "<dyn store::Sink<u8> as store::Close>::close",
                "store::Sink::close",
            ),
            ("<[u8] as store::Hash>::hash", "[u8]::hash"),
            (
                "<F as store::Handler<(M, T), S>>::call",
                "store::Handler::call",
            ),
            ("broken<", "broken<"),
            ("<broken", "<broken"),
        ] {
            assert_eq!(path_of(long), short);
        }
    }
}
