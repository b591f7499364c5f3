//! Every target passes its seeds and its past findings.

use std::collections::BTreeSet;
use std::fs;

use fuzz::driver::corpus;
use fuzz::targets;

/// The maximum size of the corpus, so that the repository stays small.
const CORPUS_BYTES_MAX: u64 = 300_000;

#[test]
fn every_seed_and_every_past_finding_passes() {
    for target in targets::ALL {
        let seeds = corpus::read(target.name).unwrap();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for seed in seeds {
            let ran = std::panic::catch_unwind(|| (target.run)(&seed.bytes));
            assert!(ran.is_ok(), "cargo run -p fuzz -- replay {} {}", target.name, seed.path.display());
        }
    }
}

#[test]
fn every_folder_of_inputs_has_a_target_and_all_are_small() {
    let names: BTreeSet<_> = targets::ALL.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), targets::ALL.len());
    let mut bytes = 0;
    for folder in ["corpus", "findings"] {
        let Ok(entries) = fs::read_dir(corpus::root().join(folder)) else { continue };
        for entry in entries.map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            assert!(names.contains(name.as_str()), "{folder}/{name} has no target");
            let files = fs::read_dir(entry.path()).unwrap();
            bytes += files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>();
        }
    }
    assert!(bytes < CORPUS_BYTES_MAX, "{bytes}");
}

/// cargo-fuzz has a list of targets in its manifest.
#[test]
fn libfuzzer_has_the_same_targets() {
    let folder = corpus::root().join("cargo-fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let binaries: BTreeSet<_> = manifest.split("[[bin]]").skip(1).filter_map(|bin| bin.split('"').nth(1)).collect();
    assert_eq!(binaries, targets::ALL.iter().map(|target| target.name).collect());
    for name in binaries {
        let source = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("(fuzz::targets::named(\"{name}\").run)(bytes)")), "{name}");
    }
}
