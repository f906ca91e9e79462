#[quitter::main]
fn main()
where
    (): Send,
{
}
