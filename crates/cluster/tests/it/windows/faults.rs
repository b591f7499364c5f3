//! Failures of Redis: killed, stopped, refusing, or unreachable.

use std::time::Duration;

use access::Secret;
use cluster::windows::{ANSWER, RedisFault, RedisKeeper, SPEC, Windows};
use jobs::Job;
use redis::AsyncCommands;
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENT, ask, reach, shared};
use crate::redis::Redis;

pub(super) async fn eventually(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < until, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn keep(windows: &Windows) {
    let mut keeper = RedisKeeper::new(windows);
    loop {
        if keeper.run().await.is_err() {
            sleep(SPEC.period).await;
        }
    }
}

/// Runs `story` while the connection to Redis is kept.
pub(super) async fn keeping(windows: &Windows, story: impl Future<Output = ()>) {
    tokio::select! {
        () = keep(windows) => unreachable!(),
        () = story => {}
    }
}

#[tokio::test]
async fn what_was_let_in_counts_on_when_redis_is_killed_and_it_comes_back() {
    let mut redis = Redis::start().await;
    let windows = shared(&redis, "tollgate").await;
    keeping(&windows, async {
        for _ in 0..60 {
            assert!(windows.take(&[ask("a", "x", 100)]).await.allowed);
        }
        assert_eq!(windows.fallbacks(), 0);
        redis.kill().await;
        let mut passed = 0;
        for _ in 0..100 {
            let began = Instant::now();
            passed += u32::from(windows.take(&[ask("a", "x", 100)]).await.allowed);
            assert!(began.elapsed() < Duration::from_secs(10));
        }
        assert_eq!((passed, windows.is_shared()), (40, false));
        assert_eq!(windows.fallbacks(), 100);
        redis.resume().await;
        eventually("Redis is found again", || windows.is_shared()).await;
        assert!(windows.take(&[ask("a", "x", 100)]).await.allowed);
        assert_eq!(windows.fallbacks(), 100);
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_stands_still_costs_a_few_calls_and_no_more() {
    let redis = Redis::start().await;
    let windows = reach(&redis.url(), "tollgate", ANSWER).await.unwrap();
    keeping(&windows, async {
        eventually("it answers", || windows.is_shared()).await;
        redis.signal("-STOP").await;
        let began = Instant::now();
        for _ in 0..1_000 {
            windows.take(&[ask("a", "x", 2_000)]).await;
        }
        // Three calls of 20 ms; without the limit all would take 20 s.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert!(!windows.is_shared());
        redis.signal("-CONT").await;
        eventually("it goes on", || windows.is_shared()).await;
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_nobody_asks_is_missed_too() {
    let mut redis = Redis::start().await;
    let windows = shared(&redis, "tollgate").await;
    keeping(&windows, async {
        redis.kill().await;
        eventually("it is missed", || !windows.is_shared()).await;
        assert_eq!(windows.fallbacks(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_comes_later_is_found() {
    let mut redis = Redis::away();
    let windows = reach(&redis.url(), "tollgate", PATIENT).await.unwrap();
    assert!(windows.has_redis() && !windows.is_shared());
    assert!(windows.take(&[ask("a", "x", 1)]).await.allowed);
    keeping(&windows, async {
        redis.resume().await;
        eventually("it is found", || windows.is_shared()).await;
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_takes_nothing_is_none() {
    let redis = Redis::start().await;
    let windows = shared(&redis, "tollgate").await;
    let mut connection = redis.connection().await;
    let set = async |connection: &mut redis::aio::MultiplexedConnection, bytes: &str| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async::<()>(connection).await.unwrap();
    };
    keeping(&windows, async {
        set(&mut connection, "1").await;
        let verdict = windows.take(&[ask("a", "x", 1)]).await;
        assert!(verdict.allowed && !windows.is_shared());
        assert!(!windows.take(&[ask("a", "x", 1)]).await.allowed);
        // Redis still responds to PING, but does not count as available for that.
        sleep(Duration::from_millis(800)).await;
        assert!(!windows.is_shared());
        set(&mut connection, "0").await;
        eventually("it takes again", || windows.is_shared()).await;
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_script_is_loaded_again_and_a_spoilt_count_is_counted_here() {
    let redis = Redis::start().await;
    let windows = shared(&redis, "tollgate").await;
    let mut connection = redis.connection().await;
    assert!(windows.take(&[ask("a", "x", 5)]).await.allowed);
    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut connection).await.unwrap();
    assert_eq!(windows.take(&[ask("a", "x", 5)]).await.remaining, 3);
    assert!(windows.is_shared());
    for key in connection.keys::<_, Vec<String>>("*").await.unwrap() {
        connection.set::<_, _, ()>(key, "no hash").await.unwrap();
    }
    assert_eq!(windows.take(&[ask("a", "x", 5)]).await.remaining, 2);
    assert_eq!(windows.fallbacks(), 1);
}

#[tokio::test]
async fn redis_holds_no_key_and_no_address_and_products_are_apart() {
    let redis = Redis::start().await;
    let windows = shared(&redis, "codexible").await;
    let other = shared(&redis, "tollgate").await;
    for windows in [&windows, &other] {
        assert!(windows.take(&[ask("a", "203.0.113.9", 1), ask("b", "tollgate_0123456789abcdef", 1)]).await.allowed);
    }
    let mut connection = redis.connection().await;
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    for key in &keys {
        let (prefix, hash) = key.rsplit_once(':').unwrap();
        assert!(["tollgate:{codexible}:log", "tollgate:{tollgate}:log"].contains(&prefix), "{key}");
        assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
        let value: Vec<u8> = connection.get(key).await.unwrap();
        let shown = String::from_utf8_lossy(&value);
        assert!(!shown.contains("203.0.113") && !shown.contains("0123456789abcdef"), "{shown:?}");
    }
    assert!(keys.len() >= 4, "{keys:?}");
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_refused_and_no_error_repeats_it() {
    for url in
        ["nonsense", "http://user:hunter2@host", "redis://user:hunter2@", "redis://:hunter2@host:x/", "rediss://"]
    {
        let fault = reach(&Secret::new(url.to_owned()), "tollgate", ANSWER).await.unwrap_err();
        assert_eq!(fault, RedisFault::Url, "{url}");
        assert!(!format!("{fault} {fault:?}").contains("hunter2"));
    }
    // No server listens there: attempts to connect continue.
    let url = Secret::new("redis://user:hunter2@127.0.0.1:1/7".to_owned());
    let windows = reach(&url, "tollgate", ANSWER).await.unwrap();
    assert!(!windows.is_shared() && !format!("{windows:?}").contains("hunter2"));
    let mut keeper = RedisKeeper::new(&windows);
    for _ in 0..2 {
        let checked = timeout(Duration::from_secs(5), keeper.run()).await.expect("no check waits for Redis");
        assert!(!checked.unwrap_err().to_string().contains("hunter2"));
    }
}
