//! Examples with servers that their READMEs start: the API of `plain-api`, and the sources of `discovery`.

use std::process::{Child, Command, Stdio};

use e2e::redis::free_port;
use e2e::{Call, eventually};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Example, examples, first_key};

/// The script of the sources, with all processes that it starts.
struct RunningSources(Child);

impl RunningSources {
    /// Runs the printed command with other ports.
    fn start(command: &str, ports: &[(&str, u16)]) -> Self {
        use std::os::unix::process::CommandExt as _;
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command}")]).current_dir(examples().parent().unwrap()).process_group(0);
        shell.envs(ports.iter().map(|(name, port)| (*name, port.to_string())));
        Self(shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap())
    }
}

impl Drop for RunningSources {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn discovery_follows_the_changes_of_both_sources() {
    let mut example = Example::read("discovery");
    let ports = ["ETCD_PORT", "ETCD_PEERS", "DNS_PORT", "API_PORT"].map(|name| (name, free_port().unwrap()));
    let [(_, etcd), _, (_, dns), (_, api)] = ports;
    let _sources = RunningSources::start(&example.backend, &ports);
    let variables = [
        ("DNS_SERVER", format!("127.0.0.1:{dns}")),
        ("ETCD_URL", format!("http://127.0.0.1:{etcd}")),
        ("API_PORT", api.to_string()),
    ];
    let gateway = example.start(&variables.map(|(name, value)| (name.to_owned(), value))).await;
    for (target, address) in [("/users/name", "127.0.0.2\n"), ("/orders/name", "127.0.0.4\n")] {
        eventually("the sources have started", async || {
            (gateway.call(Call::get(target)).await.text() == address).then_some(())
        })
        .await;
    }
    for call in &mut example.calls {
        *call = call.replace("127.0.0.1 5354", &format!("127.0.0.1 {dns}"));
        *call = call.replace("127.0.0.1:2379", &format!("127.0.0.1:{etcd}")).replace(":9001", &format!(":{api}"));
    }
    let outputs = example.run(&gateway, "").await;
    let lines: Vec<&str> = outputs.iter().flat_map(|output| output.lines()).collect();
    for address in ["127.0.0.2", "127.0.0.4", "127.0.0.3", "127.0.0.5"] {
        assert!(lines.contains(&address), "{address} in {lines:?}");
    }
    assert_eq!(lines.first(), Some(&"127.0.0.2"), "{lines:?}");
}

#[tokio::test]
async fn plain_api_runs_as_printed_before_the_api_that_it_brings() {
    let example = Example::read("plain-api");
    let port = free_port().unwrap();
    assert!(example.backend.contains(" 9001 ") && example.exports[0].1.ends_with(":9001"), "{}", example.backend);
    let mut words = example.backend.split_whitespace();
    let mut backend = tokio::process::Command::new(words.next().unwrap());
    backend.args(words.map(|word| if word == "9001" { port.to_string() } else { word.to_owned() }));
    backend.current_dir(examples().parent().unwrap()).kill_on_drop(true);
    let _backend = backend.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the API listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop))
        .await;
    let gateway = example.start(&[("USERS_URL".to_owned(), format!("http://127.0.0.1:{port}"))]).await;
    let key = first_key(&gateway);
    assert_eq!(example.run(&gateway, &key).await, ["{\"status\":\"ok\"}\n", "{\"users\":[]}\n"]);
    gateway.uses(&key, 1).await;
}
