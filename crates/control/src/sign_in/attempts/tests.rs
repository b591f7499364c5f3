use std::net::Ipv4Addr;

use access::{Clock, Timestamp};
use axum::response::IntoResponse;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use uuid::Uuid;

use super::*;

fn windows() -> (Windows, Clock) {
    let clock = Clock::manual(Timestamp(1_795_176_000_000_000));
    (Windows::here(clock.clone()), clock)
}

fn address(n: u16) -> Address {
    let [high, low] = n.to_be_bytes();
    Address(Ipv4Addr::new(203, 0, high, low).into())
}

async fn guess(windows: &Windows, from: u16, email: &str) -> Result<Duration, Problem> {
    let account = AccountHash::from_email(email, None);
    take_password(windows, PasswordAttempt { address: address(from), account: &account, browser: None }).await
}

#[tokio::test]
async fn an_address_may_try_an_account_ten_times() {
    let (windows, clock) = windows();
    for _ in 0..10 {
        assert_eq!(guess(&windows, 1, "ada@example.com").await.unwrap(), Duration::ZERO);
    }
    let refused = guess(&windows, 1, " Ada@Example.COM").await.unwrap_err().into_response();
    assert_eq!((refused.status().as_u16(), &refused.headers()[RETRY_AFTER]), (429, &HeaderValue::from_static("900")));
    guess(&windows, 1, "bob@example.com").await.unwrap();
    clock.advance(WINDOW);
    guess(&windows, 1, "ada@example.com").await.unwrap();
}

#[tokio::test]
async fn attempts_from_everywhere_are_delayed_by_at_most_four_seconds_and_not_refused() {
    let (windows, clock) = windows();
    let mut delays = Vec::new();
    for n in 0..1_200 {
        delays.push(guess(&windows, n, "ada@example.com").await.unwrap());
    }
    assert!(delays[..10].iter().all(Duration::is_zero), "{delays:?}");
    assert_eq!(delays[10..13], [200, 400, 600].map(Duration::from_millis));
    assert!(delays[30..].iter().all(|delay| *delay == DELAY_MAX), "{delays:?}");
    assert_eq!(guess(&windows, 2_000, "bob@example.com").await.unwrap(), Duration::ZERO);
    clock.advance(2 * WINDOW);
    assert_eq!(guess(&windows, 1, "ada@example.com").await.unwrap(), Duration::ZERO);
}

#[tokio::test]
async fn a_known_browser_counts_only_its_own_attempts_and_a_new_password_lifts_them() {
    let (windows, _) = windows();
    let old = AccountHash::from_email("ada@example.com", Some(&Secret::new("old".to_owned())));
    for n in 0..100 {
        let attempt = PasswordAttempt { address: address(n), account: &old, browser: None };
        take_password(&windows, attempt).await.unwrap();
    }
    let known =
        |account, id| PasswordAttempt { address: address(1), account, browser: Some(TokenId(Uuid::from_u128(id))) };
    for _ in 0..10 {
        assert_eq!(take_password(&windows, known(&old, 1)).await.unwrap(), Duration::ZERO);
    }
    assert!(take_password(&windows, known(&old, 1)).await.is_err());
    assert_eq!(take_password(&windows, known(&old, 2)).await.unwrap(), Duration::ZERO);
    let new = AccountHash::from_email("ada@example.com", Some(&Secret::new("new".to_owned())));
    assert_eq!(take_password(&windows, known(&new, 1)).await.unwrap(), Duration::ZERO);
    let elsewhere = PasswordAttempt { address: address(7), account: &new, browser: None };
    assert_eq!(take_password(&windows, elsewhere).await.unwrap(), Duration::ZERO);
}

/// The hash of an account with a password is another than that of a sign-up for its address.
#[tokio::test]
async fn guesses_leave_sign_ups_as_they_were_whether_or_not_the_account_exists() {
    let (windows, _) = windows();
    let phc = Secret::new("phc".to_owned());
    let new = AccountHash::from_email("ada@example.com", None);
    for (from, phc) in [(1, None), (2, Some(&phc))] {
        let account = AccountHash::from_email("ada@example.com", phc);
        let attempt = PasswordAttempt { address: address(from), account: &account, browser: None };
        for _ in 0..10 {
            take_password(&windows, attempt).await.unwrap();
        }
        assert!(take_password(&windows, attempt).await.is_err());
        for _ in 0..10 {
            take(&windows, address(from), Some(&new)).await.unwrap();
        }
        assert!(take(&windows, address(from), Some(&new)).await.is_err());
    }
}

#[tokio::test]
async fn an_address_may_try_thirty_times_whomever() {
    let (windows, _) = windows();
    for n in 0..30 {
        let account = (n % 2 == 0).then(|| AccountHash::from_email(&n.to_string(), None));
        take(&windows, address(1), account.as_ref()).await.unwrap();
    }
    assert!(take(&windows, address(1), None).await.is_err());
    assert!(guess(&windows, 1, "new").await.is_err());
    take(&windows, address(2), None).await.unwrap();
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_address() {
    let (windows, _) = windows();
    let at = |n: u16| Address(std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 2, n, 0, 0, 1).into());
    for n in 0..30 {
        take(&windows, at(n), None).await.unwrap();
    }
    assert!(take(&windows, at(31), None).await.is_err());
}
