//! What `scripts/commits.sh` says of the commits of a small repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SCRIPT: &str = "scripts/commits.sh";
const MESSAGE: &str = "Add a file\n\nTests need it.";

/// A repository that contains only the script, in its second commit.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn with_script() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.commit("old.txt", 2_000, "Begin without a body");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SCRIPT);
        std::fs::create_dir(repository.path("scripts")).unwrap();
        std::fs::copy(script, repository.path(SCRIPT)).unwrap();
        repository.commit("new.txt", 2_000, "Add the check itself");
        repository
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn git(&self, arguments: &[&str]) {
        let output = git(self.folder.path(), arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Commits a new file with `lines` lines.
    fn commit(&self, path: &str, lines: usize, message: &str) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), format!("{path}\n").repeat(lines)).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--no-verify", "--message", message]);
    }

    /// The messages of the check; each commit that fails has at least one.
    fn check(&self) -> Result<String, String> {
        check(self.folder.path())
    }

    #[track_caller]
    fn assert_fails(&self, expected: &str) {
        let messages = self.check().unwrap_err();
        assert!(messages.lines().count() == 1 && messages.contains(expected), "{messages}");
    }
}

/// Runs git without the settings of the developer.
fn git(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.com");
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.args(arguments).current_dir(folder).output().unwrap()
}

fn check(folder: &Path) -> Result<String, String> {
    let output = Command::new(folder.join(SCRIPT)).output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

#[test]
fn commits_before_the_check_and_merges_are_not_checked() {
    let repository = Repository::with_script();
    assert_eq!(repository.check().unwrap(), "commits: 0 checked\n");
    repository.git(&["switch", "--quiet", "--create", "branch"]);
    repository.commit("branch.txt", 1, MESSAGE);
    repository.git(&["switch", "--quiet", "main"]);
    repository.commit("main.txt", 1, MESSAGE);
    repository.git(&["merge", "--quiet", "--no-edit", "branch"]);
    assert_eq!(repository.check().unwrap(), "commits: 2 checked\n");
}

#[test]
fn a_subject_has_at_most_72_characters_and_a_commit_a_body() {
    let repository = Repository::with_script();
    repository.commit("a.txt", 1, &format!("{}\n\nTests need it.", "ü".repeat(72)));
    assert_eq!(repository.check().unwrap(), "commits: 1 checked\n");
    repository.commit("b.txt", 1, &format!("{}\n\nTests need it.", "ü".repeat(73)));
    repository.assert_fails("the subject has 73 characters, at most 72 are allowed");
    repository.git(&["commit", "--quiet", "--amend", "--message", "Add b"]);
    repository.assert_fails("the body is missing");
}

#[test]
fn a_commit_adds_at_most_1_500_lines_or_has_a_reason() {
    let repository = Repository::with_script();
    repository.commit("a.txt", 1_500, MESSAGE);
    assert_eq!(repository.check().unwrap(), "commits: 1 checked\n");
    repository.commit("b.txt", 1_501, MESSAGE);
    repository.assert_fails("adds 1501 lines, at most 1500 are allowed");
    repository.git(&["commit", "--quiet", "--amend", "--message", "Add b\n\nTests need it.\nLarge-change: "]);
    repository.assert_fails("adds 1501 lines");
    repository.git(&["commit", "--quiet", "--amend", "--message", "Add b\n\nTests need it.\nLarge-change: a table"]);
    assert_eq!(repository.check().unwrap(), "commits: 2 checked\n");
}

#[test]
fn generated_files_fixtures_snapshots_and_lock_files_do_not_count() {
    let repository = Repository::with_script();
    let uncounted = ["Cargo.lock", "e2e/sdk/package-lock.json", "a/b.snap", "a/fixtures/b/c.json", "docs/openapi.json"];
    for path in uncounted {
        repository.commit(path, 2_000, MESSAGE);
    }
    repository.git(&["mv", "old.txt", "moved to.txt"]);
    repository.commit("a.txt", 1, MESSAGE);
    assert_eq!(repository.check().unwrap(), "commits: 6 checked\n");
}

#[test]
fn without_a_history_nothing_is_checked() {
    let repository = Repository::with_script();
    repository.commit("a.txt", 2_000, "Add a");
    let clone = tempfile::tempdir().unwrap();
    let url = format!("file://{}", repository.folder.path().display());
    let output = git(clone.path(), &["clone", "--quiet", "--depth=1", &url, "."]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let of_clone = check(clone.path()).unwrap();
    assert_eq!(of_clone, "commits: 0 checked; the history is shallow, so older commits are not checked\n");
    std::fs::rename(repository.path(".git"), repository.path("git")).unwrap();
    assert_eq!(repository.check().unwrap(), "commits: not checked, as the history is missing\n");
}
