//! Writes the list of the dashboard's files, which the crate includes. `make dashboard` builds the files and then
//! touches this script, so that the next `cargo build` runs it; without files, the list is empty.

#[path = "build/manifest.rs"]
mod manifest;

use std::error::Error;
use std::path::Path;
use std::{env, fs};

/// The folder of the built dashboard, from this crate.
const BUILT: &str = "../../dashboard/out";
/// The list of its files. The dashboard's build writes it last, so an incomplete build has none.
const MANIFEST: &str = "manifest.tsv";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(BUILT);
    let list = folder.join(MANIFEST);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/manifest.rs");
    let text = if list.is_file() {
        // Cargo runs a script again on every build if a file that it names is missing.
        println!("cargo::rerun-if-changed={}", list.display());
        fs::read_to_string(&list)?
    } else {
        String::new()
    };
    let source = manifest::source(&folder, &text).map_err(|line| format!("{}: {line}", list.display()))?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("files.rs"), source)?;
    Ok(())
}
