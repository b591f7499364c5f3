//! What the built command and scripts print. `scripts/xtask.sh` also builds this test, for the features of its dependencies.

#[cfg(test)]
mod commits;

use std::process::Command;

const TASKS: [&str; 7] = ["coverage", "config-docs", "dashboards", "tidy", "language", "postgres", "test"];

#[test]
fn without_a_task_the_usage_lists_all_tasks_and_the_exit_status_is_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).output().unwrap();
    let usage = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{usage}");
    let is_listed = |task: &&str| usage.lines().any(|line| line.split_whitespace().next() == Some(*task));
    let missing: Vec<&str> = TASKS.into_iter().filter(|task| !is_listed(task)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "{usage}");
}
