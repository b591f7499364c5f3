//! The install commands of the READMEs.
//!
//! The tests download nothing: each package must be one that other tests run, and `make install` is run as a dry run.

use std::fs;

use e2e::sdk;
use tokio::process::Command;

use super::{EXAMPLES, Example, examples};

const MAKE: &str = "make install";
const PATH: &str = "export PATH=\"$HOME/.local/bin:$PATH\"";
const VENV: &str = "python3 -m venv .venv";
const NPM: [&str; 2] = ["npm install --no-save ", "npm install --global "];
const PIP: &str = ".venv/bin/pip install ";

/// Returns whether a command installs something.
pub(super) fn is_one(command: &str) -> bool {
    [MAKE, PATH, VENV].contains(&command) || NPM.iter().chain([&PIP]).any(|begin| command.starts_with(begin))
}

/// Returns whether other tests run all packages of the command. A second `npm install --no-save` would remove the packages of
/// the first one.
fn is_known(command: &str) -> bool {
    let read = |file: &str| fs::read_to_string(sdk::folder(file)).unwrap();
    if let Some(packages) = NPM.iter().find_map(|begin| command.strip_prefix(begin)) {
        let is_listed = |package: &str| {
            let mut files = ["sdk/package.json", "agents/package.json"].iter();
            files.any(|file| read(file).contains(&format!("\"{package}\": ")))
        };
        return packages.split(' ').all(is_listed);
    }
    match command.strip_prefix(PIP) {
        Some(packages) => {
            let listed = read("python/requirements-current.txt");
            packages.split(' ').all(|package| listed.contains(&format!("{package}==")))
        }
        None => true,
    }
}

#[tokio::test]
async fn every_example_installs_tollgate_and_packages_that_are_tested() {
    for name in EXAMPLES {
        let example = Example::read(name);
        let Example { installs, calls, .. } = &example;
        assert_eq!(installs.get(..2), Some(&[MAKE.to_owned(), PATH.to_owned()][..]), "{name}");
        let unknown: Vec<_> = installs.iter().filter(|command| !is_known(command)).collect();
        assert!(unknown.is_empty(), "{name}: no test runs {unknown:?}");
        let has = |begin: &str| installs.iter().any(|command| command.starts_with(begin));
        let runs = |program: &str| calls.iter().any(|call| call.contains(program));
        assert_eq!((runs(" node "), runs(".venv/bin/python ")), (has(NPM[0]), has(PIP)), "{name}");
        assert_eq!(runs(" claude ") || runs(" codex "), has(NPM[1]), "{name}");
        assert_eq!(has(PIP), has(VENV), "{name}");
        let unsaved = installs.iter().filter(|command| command.starts_with(NPM[0])).count();
        assert!(unsaved <= 1, "{name}: the second command removes the packages of the first");
    }
}

#[tokio::test]
async fn make_install_puts_the_command_where_the_examples_look() {
    let mut make = Command::new("make");
    make.args(["--dry-run", "install"]).current_dir(examples().parent().unwrap()).env("HOME", "/home/ada");
    make.env_remove("MAKEFLAGS").env_remove("BIN").env_remove("CARGO_TARGET_DIR").kill_on_drop(true);
    let output = make.output().await.unwrap();
    let plan = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(plan.contains("scripts/anywhere.sh cargo build --locked --profile local --package tollgate\n"), "{plan}");
    assert!(plan.contains("install -D -s -m 755 target/local/tollgate \"/home/ada/.local/bin/tollgate\"\n"), "{plan}");
}
