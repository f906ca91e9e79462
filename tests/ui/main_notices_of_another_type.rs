#[quitter::main(notices = |notice: u32| println!("{notice}"))]
fn main() {}
