#[quitter::main]
fn main(main: &String) {
    println!("{main}");
}
