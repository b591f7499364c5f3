use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::{HANGS, Server, data, run, run_with, tollgate};

const LOOPBACK: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--addr", "127.0.0.1:0"];

/// Expects that a start fails with this code first, and with these words.
async fn refused(words: &[&str], data: &Path, code: &str, says: &[&str]) {
    let (exit, stdout, stderr) = run(words, data).await;
    assert_eq!((exit, stdout.as_str()), (Some(1), ""), "{stderr}");
    let last = stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("error: {code}: ")), "{code}: {stderr}");
    for word in says {
        assert!(last.contains(word), "no {word:?} in {last}");
    }
    assert!(last.matches("os error").count() <= 1, "{last}");
}

/// Waits until the server in `folder` listens; no server may have signed its lock before.
async fn listens(folder: &Path) {
    let signed = async {
        while !fs::read_to_string(data(folder).join("tollgate.lock")).is_ok_and(|text| !text.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HANGS, signed).await.expect("it does not start");
}

/// A folder in which a server ran to its end.
async fn used() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::serve(folder.path(), "0s", [Stdio::null(), Stdio::null()]);
    listens(folder.path()).await;
    server.signal(Signal::TERM);
    server.ended().await;
    folder
}

/// The first segment of the first spool partition.
fn segment(data: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(data.join("spool")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_port_in_use_has_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let proxy = ["serve", "--listen", &address, "--addr", "127.0.0.1:0"];
    refused(&proxy, &data(folder.path()), "port_in_use", &[&address, "--listen"]).await;
    let control = ["serve", "--addr", &address, "--listen", "127.0.0.1:0"];
    refused(&control, &data(folder.path()), "port_in_use", &[&address, "--addr"]).await;
    let elsewhere = ["serve", "--listen", "192.0.2.1:0", "--addr", "127.0.0.1:0"];
    refused(&elsewhere, &data(folder.path()), "cannot_listen", &["192.0.2.1:0", "--listen", "os error"]).await;
}

#[tokio::test]
async fn a_unix_socket_of_a_running_process_has_the_same_code() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let _listening = UnixListener::bind(&socket).unwrap();
    let address = format!("unix:{}", socket.display());
    let proxy = ["serve", "--listen", &address, "--addr", "127.0.0.1:0"];
    refused(&proxy, &data(folder.path()), "port_in_use", &[&address, "--listen"]).await;
    let control = ["serve", "--addr", &address, "--listen", "127.0.0.1:0"];
    refused(&control, &data(folder.path()), "port_in_use", &[&address, "--addr"]).await;
    let file = format!("unix:{}", folder.path().join("file").display());
    fs::write(folder.path().join("file"), "kept").unwrap();
    refused(&["serve", "--addr", &file, "--listen", "127.0.0.1:0"], &data(folder.path()), "cannot_listen", &[&file])
        .await;
    assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
}

#[tokio::test]
async fn the_admin_api_listens_at_a_unix_socket_that_a_process_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let config = folder.path().join("tollgate.yaml");
    fs::write(&config, format!("control: {{listen: 'unix:{}'}}\n", socket.display())).unwrap();
    let mut command = tollgate();
    command.args(["serve", "--log", "json", "--listen", "127.0.0.1:0", "--config"]).arg(&config);
    let _server = command.arg("--data").arg(data(folder.path())).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    listens(folder.path()).await;
    let response = tokio::time::timeout(HANGS, async {
        let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    });
    let response = response.await.expect("no response");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    // The address of the running server is known from its lock.
    let (exit, link, stderr) = run(&["setup-link"], &data(folder.path())).await;
    assert!(exit == Some(0) && link.contains("http://localhost/link#"), "{link}{stderr}");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_has_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    fs::write(&data, "a file").unwrap();
    refused(&LOOPBACK, &data, "data_unwritable", &[data.to_str().unwrap(), "--data"]).await;
}

#[tokio::test]
async fn a_file_that_is_no_database_has_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    fs::create_dir(&data).unwrap();
    fs::write(data.join("tollgate.db"), "no database ".repeat(1_000)).unwrap();
    refused(&LOOPBACK, &data, "store_damaged", &[data.to_str().unwrap(), "tollgate.db"]).await;
    refused(&["users", "list"], &data, "store_damaged", &[data.to_str().unwrap()]).await;
}

#[tokio::test]
async fn an_unusable_store_server_has_a_code_and_its_password_is_not_printed() {
    let there = std::env::var("TOLLGATE_TEST_POSTGRES").expect("run by: cargo run -p xtask -- postgres cargo test");
    let (base, _) = there.rsplit_once('/').unwrap();
    let closed_port = base.replace("//postgres@", "//nobody:S3CRET@");
    for (url, status, code) in [
        ("postgres://u:S3CRET@127.0.0.1:1/d".to_owned(), 1, "error: store_unavailable: "),
        (format!("{base}/there_is_none"), 1, "error: store_forbidden: "),
        (format!("{closed_port}/postgres"), 1, "error: store_forbidden: "),
        ("mysql://u:S3CRET@127.0.0.1:1/d".to_owned(), 2, "--> the environment variable DATABASE_URL"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let env = [("DATABASE_URL", url.as_str())];
        let (exit, stdout, stderr) = run_with(&LOOPBACK, &data(folder.path()), &env).await;
        assert_eq!((exit, stdout.as_str()), (Some(status), ""), "{url}: {stderr}");
        assert!(stderr.contains(code) && !stderr.contains("S3CRET"), "{url}: {stderr}");
    }
}

#[tokio::test]
async fn a_spool_that_is_too_small_has_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tollgate.yaml");
    fs::write(&config, "spool: {max_size: 1MiB}\n").unwrap();
    let words = [&LOOPBACK[..], &["--workers", "64", "--config", config.to_str().unwrap()]].concat();
    refused(&words, &data(folder.path()), "spool_too_small", &["spool.max_size", "--workers"]).await;
}

#[tokio::test]
async fn an_unreadable_spool_has_a_code_and_may_be_moved() {
    let folder = used().await;
    let data = data(folder.path());
    let segment = segment(&data);
    let file = fs::File::options().write(true).open(&segment).unwrap();
    file.write_all_at(b"no segment, this", 0).unwrap();
    let spool = data.join("spool");
    refused(&LOOPBACK, &data, "spool_damaged", &[segment.to_str().unwrap(), spool.to_str().unwrap()]).await;
    fs::rename(&spool, folder.path().join("away")).unwrap();
    let _server = Server::serve(folder.path(), "0s", [Stdio::null(), Stdio::null()]);
    listens(folder.path()).await;
}

/// Returns the only line of output of a start that fails.
async fn reported(data: &Path) -> String {
    let (exit, stdout, stderr) = run(&LOOPBACK, data).await;
    assert_eq!((exit, stdout.as_str()), (Some(1), ""), "{stderr}");
    stderr.lines().last().unwrap_or_default().to_owned()
}

/// Every file of the spool with its content.
fn files(spool: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(spool).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

#[tokio::test]
async fn a_spool_of_a_newer_version_is_refused_and_nothing_of_it_is_overwritten() {
    let folder = used().await;
    let data = data(folder.path());
    let segment = segment(&data);
    let spool = data.join("spool");
    let as_it_was = fs::read(&segment).unwrap();
    let mut newer = as_it_was.clone();
    newer[8] = 2;
    let checksum = crc32c::crc32c(&newer[..28]);
    newer[28..32].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&segment, &newer).unwrap();
    let before = files(&spool);
    for _ in 0..2 {
        assert_eq!(
            reported(&data).await,
            format!(
                "error: spool_newer: {} cannot be read from byte 0 on: the segment has version 2, and this release \
                 knows version 1; run the newer version, or move this file and the later files of its partition out of \
                 the folder, which loses their usage that is not stored yet",
                segment.display()
            )
        );
        assert_eq!(files(&spool), before);
    }
    fs::write(&segment, as_it_was).unwrap();
    let _server = Server::serve(folder.path(), "0s", [Stdio::null(), Stdio::null()]);
    listens(folder.path()).await;
}

#[tokio::test]
async fn an_unwritable_spool_folder_is_named_with_a_remedy() {
    let folder = used().await;
    let data = data(folder.path());
    let spool = data.join("spool");
    let away = folder.path().join("away");
    fs::rename(&spool, &away).unwrap();
    // Files cannot be created in sysfs, not even by root.
    std::os::unix::fs::symlink("/sys", &spool).unwrap();
    let printed = reported(&data).await;
    let data_shown = data.display();
    let spool_shown = spool.display();
    let expected = format!(
        "error: data_unwritable: the data folder {data_shown} cannot be written: grant this user write permission, \
         free disk space, or name another folder with --data: cannot write into {spool_shown}: "
    );
    assert!(printed.starts_with(&expected), "{printed}");
    fs::remove_file(&spool).unwrap();
    // A file is in the place of the folder.
    fs::write(&spool, "a file").unwrap();
    assert_eq!(
        reported(&data).await,
        format!(
            "error: spool_failed: cannot create {spool_shown}: check the folder's permissions and its disk, or move the \
             folder {spool_shown} away, which loses the usage in it that is not stored yet: File exists (os error 17)"
        )
    );
    assert_eq!(fs::read_to_string(&spool).unwrap(), "a file");
    fs::remove_file(&spool).unwrap();
    fs::rename(&away, &spool).unwrap();
    let _server = Server::serve(folder.path(), "0s", [Stdio::null(), Stdio::null()]);
    listens(folder.path()).await;
}

#[tokio::test]
async fn a_configuration_error_prints_the_word_error_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tollgate.yaml");
    fs::write(&config, "lissten: 127.0.0.1:0\n").unwrap();
    let words = [&LOOPBACK[..], &["--config", config.to_str().unwrap()]].concat();
    let (exit, _, reported) = run(&words, &data(folder.path())).await;
    assert!(exit == Some(2) && reported.starts_with("error[unknown_key]: "), "{reported}");
    assert_eq!(reported.matches("error").count(), 1, "{reported}");
}

#[tokio::test]
async fn a_refused_demo_leaves_no_demo_users() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let key = [("OPENAI_API_KEY", "sk-real-credential")];
    for public in
        [["--listen", "0.0.0.0:0", "--addr", "127.0.0.1:0"], ["--listen", "127.0.0.1:0", "--addr", "0.0.0.0:0"]]
    {
        let words = [&["serve", "--demo"][..], &public].concat();
        let (code, _, reported) = run_with(&words, &data, &key).await;
        assert!(
            code == Some(1) && reported.contains("demo_keys_exposed") && reported.contains("0.0.0.0:0"),
            "{reported}"
        );
        assert!(!data.join("demo-keys.json").exists());
        assert_eq!(run(&["users", "list"], &data).await.1, "");
    }
}
