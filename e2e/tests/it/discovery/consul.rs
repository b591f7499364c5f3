//! Members from Consul: registrations, checks, and an index that begins again.

use e2e::{Call, Consul, Gateway, Setup};

use super::{address, admin, backends, has, served, source_reports};

fn setup(consul: &Consul, more: &str) -> Setup {
    let consul = format!("{{url: \"http://{}\"{more}}}", consul.address());
    super::sourced("discover: {consul: user-service}").section("consul", &consul)
}

fn url(net: u8, host: u8, port: u16) -> String {
    format!("http://{}:{port}", address(net, host))
}

#[tokio::test]
async fn passing_instances_are_members_also_after_the_index_has_fallen() {
    let (consul, servers) = (Consul::start(1_000).await, backends(95, 3).await);
    let port = servers[0].address().port();
    let url = |host| url(95, host, port);
    consul.register("a", "user-service", (&address(95, 1), port));
    consul.register("x", "other", (&address(95, 9), port));
    let gateway = Gateway::start(setup(&consul, "")).await;
    let token = admin(&gateway, "root").await.token;
    assert_eq!(served(&gateway, 8).await, [address(95, 1)], "the first request has all members");
    consul.register("b", "user-service", (&address(95, 2), port));
    has(&gateway, &token, &[url(1), url(2)]).await;
    consul.set_passing("a", false);
    has(&gateway, &token, &[url(2)]).await;
    consul.reset_index();
    consul.register("c", "user-service", (&address(95, 3), port));
    has(&gateway, &token, &[url(2), url(3)]).await;
    consul.set_passing("a", true);
    has(&gateway, &token, &[url(1), url(2), url(3)]).await;
    consul.deregister("b");
    has(&gateway, &token, &[url(1), url(3)]).await;
    served(&gateway, 8).await;
    assert_eq!(served(&gateway, 12).await, [address(95, 1), address(95, 3)]);
}

#[tokio::test]
async fn a_refused_token_is_reported_and_the_right_one_is_sent() {
    let (consul, servers) = (Consul::start(1).await, backends(96, 1).await);
    let port = servers[0].address().port();
    consul.require("S3CRET");
    consul.register("a", "user-service", (&address(96, 1), port));
    let gateway = Gateway::start(setup(&consul, ", token: WRONG")).await;
    let token = admin(&gateway, "root").await.token;
    source_reports(&gateway, &token, "the status of the response is 403").await;
    gateway.call(Call::get("/x")).await.expect(503);
    let gateway = Gateway::start(setup(&consul, ", token: S3CRET")).await;
    gateway.call(Call::get("/x")).await.expect(200);
}
