//! Makes cargo build again when a migration is added: the macro that embeds them sees only the files it knew.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
