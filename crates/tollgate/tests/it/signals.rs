use std::fs::{DirBuilder, File};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::server::{HANGS, Server, data};

/// Sends a signal while the server waits for its database, which another process has locked.
async fn check(signal: Signal, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    DirBuilder::new().create(&data).unwrap();
    let migrating = File::create(data.join("tollgate.db.lock")).unwrap();
    migrating.lock().unwrap();
    let mut server = Server::serve(folder.path(), "0s", [Stdio::null(), Stdio::null()]);
    // The server handles signals before it locks its folder.
    let taken = async {
        while !data.join("tollgate.lock").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HANGS, taken).await.expect("it does not start");
    server.signal(signal);
    assert_eq!(server.ended().await.code(), Some(code), "{signal:?}");
    assert!(!data.join("tollgate.db").exists(), "the server did not wait for the lock");
}

#[tokio::test]
async fn a_signal_during_the_start_ends_it() {
    check(Signal::TERM, 143).await;
    check(Signal::INT, 130).await;
}
