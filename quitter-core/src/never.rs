//! The type `!`, which stable Rust lets a program name only as the output of a function. In edition 2024,
//! it is the return type of a closure that never returns.

/// Written out for docs.rs, which builds with a nightly compiler.
#[cfg(docsrs)]
pub(crate) type Bang = !;

#[cfg(not(docsrs))]
pub(crate) type Bang = <fn() -> ! as Function>::Output;

/// Names the output of a function pointer.
#[cfg(not(docsrs))]
pub trait Function {
    type Output;
}

#[cfg(not(docsrs))]
impl<R> Function for fn() -> R {
    type Output = R;
}
