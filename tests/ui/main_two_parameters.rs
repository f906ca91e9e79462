use quitter::MainQuitter;

#[quitter::main]
fn main(main: &MainQuitter, arguments: Vec<String>) {
    drop(arguments);
    main.send_quit();
}
