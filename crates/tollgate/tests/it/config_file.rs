//! The configuration file that commands read: the flag's, that of `TOLLGATE_CONFIG`, or `tollgate.yaml` in the working folder.

use std::fs;
use std::path::Path;

use crate::server::{HANGS, run_with, tollgate};

const KEY: &str = "0199aa00-0000-7000-8000-000000000000";
const USER: [&str; 2] = ["--user", "ada@example.com"];
/// Each command that reads the configuration reports this error.
const INVALID: &str = "data: []\n";

/// Returns the arguments that a command needs.
fn arguments(command: &str) -> Vec<&'static str> {
    match command {
        "credits price" => vec!["fast"],
        "budgets set" => [&USER[..], &["--credits", "5", "--per", "day"]].concat(),
        "billing shadow" => vec!["--plan", "pro"],
        "explain" => vec!["/a"],
        "usage" | "keys create" | "users password" | "users suspend" | "users activate" => USER.to_vec(),
        "users role" => [&USER[..], &["admin"]].concat(),
        "users grants" => [&USER[..], &["finance"]].concat(),
        "users plan" => [&USER[..], &["pro"]].concat(),
        "users create" => vec!["--email", "ada@example.com"],
        "keys label" => vec!["--key", KEY, "--label", "a"],
        "keys rotate" | "keys revoke" => vec!["--key", KEY],
        "nodes forget" => vec![KEY],
        "prices diff" | "backup" | "restore" => vec!["missing.file"],
        "move" => vec!["--to", "postgres://u:p@127.0.0.1:9/d"],
        _ => Vec::new(),
    }
}

/// Returns the names of all commands without commands of their own whose help shows `--config`.
async fn commands() -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(name) = open.pop() {
        let mut command = tollgate();
        let output = command.args(name.split_whitespace()).arg("--help").output().await.unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        if help.contains(" --config <FILE>") {
            found.push(name);
            continue;
        }
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        open.extend(names.filter(|word| !word.is_empty() && *word != "help").map(|word| format!("{name} {word}")));
    }
    found.iter().map(|name| name.trim().to_owned()).collect()
}

/// Runs a command in `folder`, and returns its standard error.
async fn reported(folder: &Path, name: &str, more: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = tollgate();
    command.args(name.split(' ')).args(arguments(name)).args(more);
    command.current_dir(folder).envs(variables.iter().copied());
    let output = tokio::time::timeout(HANGS, command.output()).await.expect("the process does not end").unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn every_command_reads_the_file_in_its_folder_and_the_file_of_the_variable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    fs::write(&file, INVALID).unwrap();
    let apart = tempfile::tempdir().unwrap();
    let variable = [("TOLLGATE_CONFIG", file.to_str().unwrap())];
    let all = commands().await;
    assert!(all.len() >= 40 && all.iter().any(|name| name == "serve"), "{all:?}");
    for name in all {
        let beside = reported(folder.path(), &name, &[], &[]).await;
        assert!(beside.contains(" --> tollgate.yaml:1:"), "{name}: {beside}");
        let remembered = reported(apart.path(), &name, &["--data", "data"], &variable).await;
        assert!(remembered.contains(&format!(" --> {}:1:", file.display())), "{name}: {remembered}");
    }
    assert_eq!(fs::read_dir(apart.path()).unwrap().count(), 0, "a command created a file");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a command created a file");
}

#[tokio::test]
async fn every_command_names_the_file_that_a_folder_of_data_hides() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tollgate.yaml"), INVALID).unwrap();
    // A server reports it in its log.
    for name in commands().await.into_iter().filter(|name| name != "serve") {
        let noted = reported(folder.path(), &name, &["--data", "data"], &[]).await;
        let notes = noted.matches("note: tollgate.yaml is in this folder and is not read").count();
        assert_eq!(notes, 1, "{name}: {noted}");
    }
}

#[tokio::test]
async fn a_new_user_makes_no_store_beside_a_file_that_names_another() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tollgate.yaml"), "data: named\n").unwrap();
    let refused = reported(folder.path(), "users create", &["--data", "other"], &[]).await;
    assert!(refused.contains("error: config_unread: no store was created in other"), "{refused}");
    assert!(!folder.path().join("other").exists());
    let created = reported(folder.path(), "users create", &[], &[]).await;
    assert_eq!(created, "");
    assert!(folder.path().join("named/tollgate.db").is_file() && !folder.path().join("tollgate-data").exists());
}

#[tokio::test]
async fn the_variable_of_the_file_is_no_setting_and_may_be_in_an_environment_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gate.yaml");
    fs::write(&file, "brand: {name: Named}\n").unwrap();
    fs::write(folder.path().join("variables"), format!("TOLLGATE_CONFIG={}\n", file.display())).unwrap();
    let lines = folder.path().join("variables");
    let words = ["config", "show", "--env-file", lines.to_str().unwrap(), "--source", "file"];
    let (code, shown, noted) = run_with(&words, &folder.path().join("data"), &[]).await;
    assert!(code == Some(0) && shown.contains("Named"), "{shown}{noted}");
    assert_eq!(noted, format!("note: TOLLGATE_CONFIG is set: the configuration is {}\n", file.display()));
    // Without a command, the file is served.
    let mut server = tollgate();
    server.env("TOLLGATE_CONFIG", "missing.yaml");
    let refused = String::from_utf8(server.output().await.unwrap().stderr).unwrap();
    assert!(refused.contains("running `tollgate serve --config missing.yaml`"), "{refused}");
    assert!(refused.contains("the configuration cannot be read"), "{refused}");
}
