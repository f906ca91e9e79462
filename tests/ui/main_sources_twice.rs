#[quitter::main(sources = [quitter::QuitSource::os_signal()], sources = [quitter::QuitSource::all_done()])]
fn main() {}
