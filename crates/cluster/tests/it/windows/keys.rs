//! Look-ups of keys in Redis.

use std::time::Duration;

use access::credentials::key_list::ListedKeyHash;
use access::exchange::redis_key::{RedisKeyFault, RedisKeys, RedisValueError, VALUE_LEN_MAX};
use cluster::windows::{ANSWER, keys};
use redis::AsyncCommands;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::faults::{eventually, keeping};
use super::{reach, shared};
use crate::redis::Redis;

const KEY: &str = "0123456789abcdef";
const VALUE: &str = r#"{"name": "acme", "plan": "pro"}"#;

fn hash(key: &str) -> ListedKeyHash {
    ListedKeyHash::from_key(key.as_bytes()).unwrap()
}

fn name(key: &str) -> String {
    format!("k:{}", hash(key).to_hex())
}

#[tokio::test]
async fn a_value_is_found_by_prefix_and_hash_and_an_invalid_one_is_no_absence() {
    let redis = Redis::start().await;
    let windows = shared(&redis, "keys").await;
    let mut connection = redis.connection().await;
    let large = format!("{VALUE}{}", " ".repeat(100_000));
    let full = format!("{VALUE}{}", " ".repeat(VALUE_LEN_MAX - VALUE.len()));
    for (key, value) in
        [(KEY, VALUE), ("full-0123456789abc", &full), ("large-0123456789ab", &large), ("invalid-0123456789", "?")]
    {
        let _: () = connection.set(name(key), value).await.unwrap();
    }
    let _: () = connection.lpush(name("list-0123456789abc"), "x").await.unwrap();
    let (sender, queue) = mpsc::channel(8);
    let keys = RedisKeys::new(sender);
    let find = async |prefix: &str, key: &str| keys.find(prefix.into(), hash(key)).await;
    let story = async {
        for key in [KEY, "full-0123456789abc"] {
            let found = find("k:", key).await.unwrap().unwrap();
            assert_eq!((found.name.as_str(), found.plan.as_deref()), ("acme", Some("pro")));
        }
        assert_eq!(find("k:", "unknown-0123456789").await, Ok(None));
        assert_eq!(find("other:", KEY).await, Ok(None));
        for (key, error) in [
            ("large-0123456789ab", RedisValueError::Length),
            ("invalid-0123456789", RedisValueError::Json),
            ("list-0123456789abc", RedisValueError::Type),
        ] {
            assert_eq!(find("k:", key).await, Err(RedisKeyFault::Value(error)), "{key}");
        }
        assert!(windows.is_shared(), "an invalid value does not end the connection");
    };
    tokio::select! {
        () = keys::serve(windows.clone(), queue, std::future::pending()) => unreachable!(),
        () = story => {}
    }
}

#[tokio::test]
async fn a_user_without_the_permission_is_refused_and_the_limits_stay_shared() {
    let redis = Redis::start().await;
    let windows = shared(&redis, "keys").await;
    let mut connection = redis.connection().await;
    let denied = redis::cmd("ACL").arg(&["SETUSER", "default", "-getrange"]).query_async::<()>(&mut connection).await;
    denied.unwrap();
    let (sender, queue) = mpsc::channel(8);
    let keys = RedisKeys::new(sender);
    tokio::select! {
        () = keys::serve(windows.clone(), queue, std::future::pending()) => unreachable!(),
        found = keys.find("k:".into(), hash(KEY)) => assert_eq!(found, Err(RedisKeyFault::Refused("NOPERM".into()))),
    }
    assert!(windows.is_shared());
}

#[tokio::test]
async fn without_redis_a_look_up_has_no_result_until_redis_is_back() {
    let mut redis = Redis::start().await;
    let windows = shared(&redis, "keys").await;
    let (sender, queue) = mpsc::channel(8);
    let keys = RedisKeys::new(sender);
    let find = async || keys.find("k:".into(), hash(KEY)).await;
    let story = keeping(&windows, async {
        assert_eq!(find().await, Ok(None));
        redis.kill().await;
        assert_eq!(find().await, Err(RedisKeyFault::Unavailable));
        redis.resume().await;
        let _: () = redis.connection().await.set(name(KEY), VALUE).await.unwrap();
        eventually("Redis is found again", || windows.is_shared()).await;
        assert_eq!(find().await.unwrap().unwrap().name.as_str(), "acme");
    });
    tokio::select! {
        () = keys::serve(windows.clone(), queue, std::future::pending()) => unreachable!(),
        () = story => {}
    }
}

#[tokio::test]
async fn a_redis_that_does_not_respond_delays_a_few_look_ups_and_no_more() {
    let redis = Redis::start().await;
    let windows = reach(&redis.url(), "keys", ANSWER).await.unwrap();
    let (sender, queue) = mpsc::channel(8);
    let keys = RedisKeys::new(sender);
    let find = async || keys.find("k:".into(), hash(KEY)).await;
    let story = keeping(&windows, async {
        eventually("Redis responds", || windows.is_shared()).await;
        redis.signal("-STOP").await;
        let began = Instant::now();
        for _ in 0..1_000 {
            assert_eq!(find().await, Err(RedisKeyFault::Unavailable));
        }
        // At most three look-ups of 500 ms; without a bound of them all would take 500 s.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        redis.signal("-CONT").await;
        eventually("Redis responds again", || windows.is_shared()).await;
        assert_eq!(find().await, Ok(None));
    });
    tokio::select! {
        () = keys::serve(windows.clone(), queue, std::future::pending()) => unreachable!(),
        () = story => {}
    }
}
