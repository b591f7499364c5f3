//! The disk is full for a while under load: counted requests are refused, open ones are settled, and others continue.
//! With free space, all requests are served again.

use std::sync::Arc;

use e2e::faults::Shim;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Mock, Setup, with_progress};
use tokio::task::JoinSet;

use super::rounds::{Load, tell};
use super::tally::{assert_counts_agree, each_once, rests};

/// Streams of 4 s that are open while the disk is full.
const OPEN: usize = 8;
const LONG: &str = "tokens-40-100";

#[tokio::test]
async fn on_a_full_disk_metered_requests_are_refused_and_nothing_is_lost_or_doubled() {
    let mock = Mock::start().await;
    let shim = Shim::new();
    let folder = Folder::new();
    let plain = "{path: /plain, upstreams: backend, auth: {type: none}}";
    let setup = Setup::provider("mock", mock.address())
        .section("upstreams", &format!("[{{name: backend, backends: [{{url: \"http://{}\"}}]}}]", mock.address()))
        .section("routes", &format!("[{plain}]"))
        .section("spool", "{max_size: 1MiB}")
        .flag("--workers")
        .flag("1");
    let setup = shim.over(setup, &folder.data());
    let gateway = Gateway::start_in(folder, setup.clone()).await;
    let load = Load::new(&gateway.key().await);
    let mut open = JoinSet::new();
    for _ in 0..OPEN {
        let call = load.call(LONG, true);
        let load = Arc::clone(&load);
        let to = gateway.proxy;
        open.spawn(async move { load.make(to, call).await });
    }
    // The streams have begun before other requests fill the spool.
    with_progress("the streams run", async || match mock.models().await.len() {
        OPEN => Ok(()),
        begun => Err(begun),
    })
    .await;
    let callers = load.begin(gateway.proxy);
    load.goes_on(50).await;
    shim.set_full(true);
    with_progress("the spool is full", async || match load.refused().len() {
        0 => Err(load.count()),
        _ => Ok(()),
    })
    .await;
    load.end();
    callers.join_all().await;
    let before = load.count();
    // Requests in flight have been settled, and space reserved for them may admit a few more.
    while load.make(gateway.proxy, load.call("tokens-1-0", false)).await == Some(200) {}
    gateway.call(Call::get("/plain")).await.expect(200);
    // Open streams end normally.
    assert_eq!(open.join_all().await, [Some(200); OPEN]);
    assert!(shim.failed() > 0);
    assert_eq!(load.refused().iter().find(|refused| **refused != (503, "spool_full".to_owned())), None);

    shim.set_full(false);
    with_progress("requests are served again", async || {
        match load.make(gateway.proxy, load.call("tokens-1-0", false)).await {
            Some(200) => Ok(()),
            _ => Err(gateway.gauge("tollgate_spool_bytes").await),
        }
    })
    .await;
    let callers = load.begin(gateway.proxy);
    load.goes_on(200).await;
    load.end();
    callers.join_all().await;
    rests(&gateway).await;
    let tally = each_once(&mock, gateway.folder(), &load.answered(), false).await;
    assert_eq!((tally.count(), tally.interrupted), (load.count(), 0));
    assert_counts_agree(gateway.folder()).await;

    // A kill changes none of these results.
    let again = Gateway::start_in(gateway.crash().folder, setup).await;
    let tally = each_once(&mock, again.folder(), &load.answered(), false).await;
    assert_eq!((tally.count(), tally.interrupted), (load.count(), 0));
    assert_counts_agree(again.folder()).await;
    tell(&format!("{before} before the spool was full, {} refused, {} in all", load.refused().len(), tally.count()));
}
