//! The install script as users run it: in a home with existing files, twice, and with `--undo`. The agents then send
//! requests with the installed settings.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, eventually, sdk};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The text of the mock's response.
const SAID: &str = "Hello from the mock provider: this answer is scripted, comes word by word, and is always the same.";
const HANGS: Duration = Duration::from_secs(60);
/// Environment of the agents, without a proxy to the internet.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("NO_PROXY", "127.0.0.1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_TELEMETRY", "1"),
];

/// A server, one of its keys, and a user's home.
struct World {
    gateway: Gateway,
    key: String,
    home: Folder,
}

impl World {
    async fn start() -> Self {
        Self::with(Setup::mocked()).await
    }

    async fn with(setup: Setup) -> Self {
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        Self { gateway, key, home: Folder::on_sqlite() }
    }

    async fn script(&self, agent: &str) -> String {
        self.gateway.ask(Call::get(&format!("/install.sh?agent={agent}"))).await.expect(200).text()
    }

    /// Reads a file of the home; empty if it does not exist.
    fn read(&self, name: &str) -> String {
        self.home.read(name)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs the script like `curl … | SHELL -s -- WORDS`, without a terminal.
    async fn run(&self, shell: &str, agent: &str, words: &[&str], variables: &[(&str, &str)]) -> Output {
        let script = self.script(agent).await;
        let mut command = self.command("/usr/bin/setsid");
        command.args(["--wait", shell, "-s", "--"]).args(words).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).await.unwrap();
        tokio::time::timeout(HANGS, child.wait_with_output()).await.expect("it hangs").unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", sdk::path()).env("HOME", self.home.path()).current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs the script with the key, which must succeed; returns its output.
    async fn install(&self, shell: &str, agent: &str) -> String {
        let output = self.run(shell, agent, &[], &[("TOLLGATE_KEY", &self.key)]).await;
        reported(&output, true)
    }

    async fn undo(&self, shell: &str, agent: &str) -> String {
        reported(&self.run(shell, agent, &["--undo"], &[]).await, true)
    }

    /// Returns every file of the home with its content, except for backups.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        walk(self.home.path(), &mut files);
        files.retain(|(path, _)| !path.display().to_string().contains(".tollgate-backup-"));
        files.sort();
        files
    }

    fn backups(&self) -> usize {
        let mut files = Vec::new();
        walk(self.home.path(), &mut files);
        files.iter().filter(|(path, _)| path.display().to_string().contains(".tollgate-backup-")).count()
    }
}

fn walk(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push((path.clone(), fs::read(&path).unwrap())) }
    }
}

/// Returns both outputs of a script, and asserts whether it succeeds.
fn reported(output: &Output, success: bool) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.success(), success, "{} {text}", output.status);
    text
}

const CODEX_OWN: &str = "# mine
model = \"gpt-5.1-codex\"
  model_provider = \"openai\" # was mine
notes = \"\"\"
model_provider = \"not a setting\"
[model_providers.tollgate]
\"\"\"

[model_providers.tollgate]
name = \"By hand\"
base_url = \"http://example.com\"

[model_providers.\"tollgate\".http_headers]
a = \"b\"

[tui]
model_provider = \"inside a table\"
# no line end at the end: ";

#[tokio::test]
async fn codex_is_installed_once_and_removed_byte_by_byte() {
    for shell in ["dash", "bash"] {
        let world = World::start().await;
        world.put(".codex/config.toml", CODEX_OWN);
        world.put(".bashrc", "alias ll='ls -l'");
        world.put("dotfiles/zshrc", "setopt autocd\n");
        symlink(world.home.path().join("dotfiles/zshrc"), world.home.path().join(".zshrc")).unwrap();
        let before = world.files();

        let printed = world.install(shell, "codex").await;
        assert!(printed.contains("Tollgate is at http://127.0.0.1:") && !printed.contains(&world.key), "{printed}");
        let config = world.read(".codex/config.toml");
        let base = format!("base_url = \"http://{}/v1\"\n", world.gateway.proxy);
        for line in
            ["\nmodel_provider = \"tollgate\"\n", &base, "wire_api = \"responses\"", "env_key = \"TOLLGATE_KEY\""]
        {
            assert_eq!(config.matches(line).count(), 1, "{shell} {line}: {config}");
        }
        for remaining in [
            "# mine",
            "model = \"gpt-5.1-codex\"",
            "\nmodel_provider = \"not a setting\"\n[model_providers.tollgate]\n\"\"\"",
            "\nmodel_provider = \"inside a table\"",
        ] {
            assert!(config.contains(remaining), "{shell} {remaining}: {config}");
        }
        assert_eq!(world.read(".config/tollgate/key"), format!("{}\n", world.key));
        let mode = fs::metadata(world.home.path().join(".config/tollgate/key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for profile in [".profile", ".bashrc", "dotfiles/zshrc"] {
            assert_eq!(world.read(profile).matches("export TOLLGATE_KEY").count(), 1, "{profile}");
        }
        assert!(world.home.path().join(".zshrc").is_symlink() && !world.home.path().join(".bash_profile").exists());
        assert!(
            !world
                .files()
                .iter()
                .any(|(path, bytes)| !path.ends_with("key") && String::from_utf8_lossy(bytes).contains(&world.key))
        );

        let once = world.files();
        let backups = world.backups();
        assert_eq!(backups, 3, "of each file that was there");
        world.install(shell, "codex").await;
        assert_eq!((world.files(), world.backups()), (once, backups), "twice is once");

        world.undo(shell, "codex").await;
        assert_eq!(world.files(), before, "{shell}");
        world.undo(shell, "codex").await;
        assert_eq!(world.files(), before, "twice is once");
    }
}

#[tokio::test]
async fn later_changes_survive_the_removal() {
    let world = World::start().await;
    world.put(".codex/config.toml", "model = \"a\"\n");
    world.install("dash", "codex").await;
    let config = world.read(".codex/config.toml");
    world.put(".codex/config.toml", &format!("{config}[tui]\nnew = true\n"));
    world.undo("dash", "codex").await;
    assert_eq!(world.read(".codex/config.toml"), "model = \"a\"\n\n[tui]\nnew = true\n".replacen("\n\n", "\n", 1));
}

#[tokio::test]
async fn nothing_stays_of_an_install_into_an_empty_home() {
    for agent in ["codex", "claude"] {
        let world = World::start().await;
        world.install("dash", agent).await;
        assert!(!world.files().is_empty());
        world.undo("dash", agent).await;
        assert_eq!(world.files(), [], "{agent}");
    }
}

const CLAUDE_OWN: &str = r#"{
    "model": "opus", "zeta": [1, 2],
    "env": {"FOO": "bar", "ANTHROPIC_BASE_URL": "https://mine.example"},
    "apiKeyHelper": "/usr/bin/mine é"
}"#;

#[tokio::test]
async fn claude_is_installed_with_jq_or_python_and_removed() {
    for (shell, hidden) in [("dash", "python3"), ("bash", "jq")] {
        let world = World::start().await;
        world.put(".claude/settings.json", CLAUDE_OWN);
        let path = without(&world, &[hidden]);
        let before = world.files();
        let run = async |words: &[&str]| {
            reported(&world.run(shell, "claude", words, &[("TOLLGATE_KEY", &world.key), ("PATH", &path)]).await, true)
        };
        run(&[]).await;
        let settings: serde_json::Value = serde_json::from_str(&world.read(".claude/settings.json")).unwrap();
        assert_eq!(settings["env"]["ANTHROPIC_BASE_URL"], format!("http://{}", world.gateway.proxy));
        assert_eq!((&settings["env"]["FOO"], &settings["model"]), (&"bar".into(), &"opus".into()));
        assert_eq!(settings["apiKeyHelper"], "cat ~/.config/tollgate/key");
        assert_eq!(settings["statusLine"]["command"], "sh ~/.config/tollgate/tollgate-status");
        let once = world.files();
        run(&[]).await;
        assert_eq!(world.files(), once, "{shell}: twice is once");
        run(&["--undo"]).await;
        assert_eq!(world.files(), before, "{shell}");
    }
}

#[tokio::test]
async fn the_status_line_shows_what_is_left_and_asks_at_most_every_30_seconds() {
    let mut world = World::with(Setup::mocked().plans("{name: four, credits_per_day: 4}")).await;
    world.key = world.gateway.account("four").await.key;
    world.install("dash", "claude").await;
    let line = async || {
        let mut command = world.command("dash");
        command.arg(world.home.path().join(".config/tollgate/tollgate-status"));
        reported(&command.output().await.unwrap(), true)
    };
    let first = line().await;
    assert!(first.starts_with("day 0% (4 credits left, "), "{first}");
    let model = Call::get("/v1/models").key(&world.key);
    world.gateway.call(model).await.expect(200);
    assert_eq!(line().await, first, "it is kept for 30 seconds");
    world.put(".config/tollgate/status-at", "0\n");
    assert!(line().await.starts_with("day "));
    world.undo("dash", "claude").await;
    assert_eq!(world.files(), []);
}

#[tokio::test]
async fn other_status_lines_stay() {
    let world = World::start().await;
    let own = r#"{"statusLine": {"type": "command", "command": "mine"}}"#;
    world.put(".claude/settings.json", own);
    world.install("dash", "claude").await;
    let settings: serde_json::Value = serde_json::from_str(&world.read(".claude/settings.json")).unwrap();
    assert_eq!(settings["statusLine"]["command"], "mine");
    world.undo("dash", "claude").await;
    assert_eq!(world.read(".claude/settings.json"), own);
}

#[tokio::test]
async fn unsupported_settings_are_left_unchanged_and_reported() {
    let world = World::start().await;
    let path = without(&world, &["jq", "python3"]);
    world.put(".claude/settings.json", CLAUDE_OWN);
    let variables = [("TOLLGATE_KEY", world.key.as_str()), ("PATH", path.as_str())];
    let printed = reported(&world.run("dash", "claude", &[], &variables).await, false);
    assert!(
        printed.contains("neither jq nor python3")
            && printed.contains("\"apiKeyHelper\": \"cat ~/.config/tollgate/key\""),
        "{printed}"
    );
    assert_eq!(world.read(".claude/settings.json"), CLAUDE_OWN);
    assert!(!world.home.path().join(".config/tollgate/key").exists(), "nothing half-written");
    for broken in ["{\"a\": ", "[1]", "  \n"] {
        world.put(".claude/settings.json", broken);
        let printed = reported(&world.run("dash", "claude", &[], &[("TOLLGATE_KEY", &world.key)]).await, false);
        assert!(printed.contains("is no JSON object"), "{broken:?}: {printed}");
        assert_eq!(world.read(".claude/settings.json"), broken);
    }
    world.put(".codex/config.toml", "model_providers = {a = {name = \"b\"}}\n");
    let printed = reported(&world.run("dash", "codex", &[], &[("TOLLGATE_KEY", &world.key)]).await, false);
    assert!(printed.contains("in a form that this script does not change"), "{printed}");
}

/// Both agents use one key: removing one of them keeps it.
#[tokio::test]
async fn the_key_stays_while_another_agent_uses_it() {
    let world = World::start().await;
    world.install("dash", "codex").await;
    world.install("dash", "claude").await;
    world.undo("dash", "codex").await;
    assert!(world.home.path().join(".config/tollgate/key").exists());
    world.undo("dash", "claude").await;
    assert_eq!(world.files(), []);
}

#[tokio::test]
async fn a_key_is_tried_before_anything_is_written() {
    let world = World::start().await;
    let unknown = format!("tollgate_{}", "0".repeat(32));
    for (key, says) in [
        ("hello", "this is not a key: one looks like tollgate_ and 32 digits"),
        ("tollgate_xyz", "this is not a key"),
        ("tollgate_0123456789abcdef0123456789abcdeg", "this is not a key"),
        ("a_b_0123456789abcdef0123456789abcdef", "this is not a key"),
        ("$(touch x)_0123456789abcdef0123456789abcdef", "this is not a key"),
        (unknown.as_str(), "does not know this key: it is mistyped, revoked or expired"),
    ] {
        let output = world.run("dash", "codex", &[], &[("TOLLGATE_KEY", key)]).await;
        let printed = reported(&output, false);
        assert!(printed.contains(says) && !printed.contains(key), "{key}: {printed}");
    }
    // curl is not everywhere.
    let path = without(&world, &["curl"]);
    let printed =
        reported(&world.run("dash", "codex", &[], &[("TOLLGATE_KEY", &unknown), ("PATH", &path)]).await, false);
    assert!(printed.contains("does not know this key"), "{printed}");
    assert_eq!(world.files(), []);
    reported(&world.run("dash", "codex", &[], &[("TOLLGATE_KEY", &world.key), ("PATH", &path)]).await, true);

    let closed_port = e2e::ReservedPort::new();
    let away =
        World::with(Setup::mocked().section("public_url", &format!("{{proxy: \"http://{}\"}}", closed_port.address())))
            .await;
    let printed = reported(&away.run("dash", "codex", &[], &[("TOLLGATE_KEY", &away.key)]).await, false);
    assert!(printed.contains("cannot be reached from here"), "{printed}");
    let printed = reported(&away.run("dash", "codex", &[], &[]).await, false);
    assert!(printed.contains("there is no terminal to ask for a key: set TOLLGATE_KEY to it"), "{printed}");
    assert_eq!(
        reported(&away.run("dash", "codex", &["--help"], &[]).await, false).trim(),
        "usage: sh [-s --] [--undo]"
    );
}

/// On a terminal the script asks for the key and does not show the typed characters.
#[tokio::test]
async fn a_key_is_typed_without_being_shown() {
    let world = World::start().await;
    world.home.write("install.sh", &world.script("codex").await);
    let typing = r"
import os, pty, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('sh', ['sh', 'install.sh'])
seen = b''
while b'not shown): ' not in seen:
    seen += os.read(terminal, 1024)
while termios.tcgetattr(terminal)[3] & termios.ECHO:
    time.sleep(0.01)
os.write(terminal, sys.argv[1].encode() + b'\n')
try:
    while True:
        more = os.read(terminal, 1024)
        if not more: break
        seen += more
except OSError:
    pass
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
    let mut command = world.command("python3");
    command.args(["-c", typing, &world.key]);
    let output = tokio::time::timeout(HANGS, command.output()).await.expect("it hangs").unwrap();
    let printed = reported(&output, true);
    assert!(
        printed.contains("Tollgate key (tollgate_…, it is not shown): ") && !printed.contains(&world.key),
        "{printed}"
    );
    assert_eq!(world.read(".config/tollgate/key"), format!("{}\n", world.key));
}

#[tokio::test]
async fn codex_calls_with_the_written_settings() {
    let world = World::start().await;
    world.install("dash", "codex").await;
    fs::create_dir_all(world.home.path().join("work/.git/objects")).unwrap();
    fs::create_dir_all(world.home.path().join("work/.git/refs")).unwrap();
    world.put("work/.git/HEAD", "ref: refs/heads/main\n");
    // As a login shell would: the key comes from the profile.
    check_agent(&world, "cd work && codex exec 'Say hello'").await;
}

#[tokio::test]
async fn claude_code_calls_with_the_written_settings() {
    let world = World::start().await;
    world.install("dash", "claude").await;
    check_agent(&world, "claude -p 'Say hello'").await;
}

async fn check_agent(world: &World, call: &str) {
    let mut command = world.command("sh");
    command.args(["-c", &format!("if [ -r .profile ]; then . ./.profile; fi; {call}")]);
    command.envs(ENVIRONMENT);
    let output = tokio::time::timeout(HANGS, command.output()).await.expect("it hangs").unwrap();
    let printed = reported(&output, true);
    assert!(String::from_utf8_lossy(&output.stdout).contains(SAID), "{printed}");
    let used = async || (world.gateway.used(&world.key).await >= 1).then_some(());
    eventually("the call is counted", used).await;
}

/// Returns a `PATH` that lacks the programs in `hidden`.
fn without(world: &World, hidden: &[&str]) -> String {
    let folder = world.gateway.folder().path().join(format!("bin-without-{}", hidden.join("-")));
    fs::create_dir_all(&folder).unwrap();
    let needed = [
        "sh", "dash", "bash", "awk", "sed", "grep", "cat", "cp", "mv", "rm", "mkdir", "mktemp", "cmp", "date",
        "dirname", "head", "tail", "stty", "curl", "wget", "jq", "python3",
    ];
    for program in needed.iter().filter(|program| !hidden.contains(program)) {
        let found = std::env::split_paths(&sdk::path()).map(|folder| folder.join(program)).find(|path| path.is_file());
        if let Some(found) = found {
            let _ = symlink(found, folder.join(program));
        }
    }
    folder.display().to_string()
}
