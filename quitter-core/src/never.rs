//! The type `!`, which has no name on stable Rust outside of a function's output. A closure that
//! never returns has it in edition 2024.

pub(crate) type Bang = <fn() -> ! as Function>::Output;

/// Names the output of a function pointer.
pub trait Function {
    type Output;
}

impl<R> Function for fn() -> R {
    type Output = R;
}
