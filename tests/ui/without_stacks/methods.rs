fn main() {
    let root = quitter::Quitter::root("main");
    println!("{}", root.snapshot_with_stacks());
}
