//! The commands of `examples/billing/README.md`, on SQLite.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use e2e::commands;
use tokio::process::Command;

use crate::billing::Shop;

/// Returns the shell blocks of the README, without the start of the server and the lines that set the key and the stub.
fn commands_of(readme: &str) -> String {
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let blocks: Vec<&str> = blocks.map(|(block, _)| block).collect();
    assert_eq!(blocks.len(), 5, "the README has other blocks");
    let (before, commands) = blocks.split_at(2);
    assert!(before[0].starts_with("tollgate serve --demo") && before[1].starts_with("KEY="), "{before:?}");
    commands.concat()
}

#[tokio::test]
async fn the_commands_of_the_example_work() {
    let shop = Shop::open().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/billing");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let place = shop.gateway.folder();
    fs::copy(folder.join("billing.yaml"), place.path().join("billing.yaml")).unwrap();
    let binary = commands::binary();
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let script = commands_of(&readme)
        .replace("127.0.0.1:8787", &shop.gateway.control.to_string())
        .replace("./data", &place.data().display().to_string());
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script]).current_dir(place.path()).env("PATH", path).env("KEY", &shop.key);
    shell.env("STUB", shop.stub.to_string());
    let output = shell.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{printed}");
    for expected in
        ["\"state\":\"active\"", "receipt.zip is unchanged", "error: export_changed", "0 new invoices of 0 periods"]
    {
        assert!(printed.contains(expected), "no {expected} in: {printed}");
    }
    assert_eq!(shop.count("SELECT count(*) FROM payments WHERE state = 'paid'").await, 1);
}
