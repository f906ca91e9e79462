#[quitter::main(sources = quitter::QuitSource::os_signal())]
fn main() {}
