//! Rebuilds the crate when a migration is added: the embedding macro only tracks the files of its last run.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
