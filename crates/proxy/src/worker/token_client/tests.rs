use std::time::Duration;

use access::credentials::jwt::{self, Algorithm, JwtKey, KeySet, TokenTerms};
use access::{Secret, SubjectText};
use config::snapshot::{ClaimHeader, JwtKeys};

use super::*;
use crate::client::head::tests::get;

/// Signed with HS256: the subject `ada`, the team `a team`, and an end one hour after [`NOON`].
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEiLCJleHAiOjE3OTUxNzk2MDAsInRlYW0iOiJhIHRlYW0ifQ.gSP1tNxx09ZXrsEE52kNWgLc77-ywGUmiEon5EE0IC0";
/// The time of the tests: 2026-11-20T12:00:00Z.
const NOON: Timestamp = Timestamp(1_795_176_000_000_000);

fn entry(headers: &[(&str, &str)]) -> Arc<JwtEntry> {
    let header = |(claim, header): &(&str, &str)| ClaimHeader { claim: (*claim).into(), header: (*header).into() };
    let secret = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
    Arc::new(JwtEntry {
        name: "hmac".into(),
        terms: TokenTerms {
            algorithms: [Algorithm::Hs256].into(),
            issuer: None,
            audiences: [].into(),
            leeway: Duration::ZERO,
            subject_issuer: SubjectText::parse("hmac").unwrap(),
        },
        keys: JwtKeys::Configured(KeySet::of_key(JwtKey::secret(&secret).unwrap())),
        claims_to_headers: headers.iter().map(header).collect(),
        place: None,
        plan: None,
    })
}

fn client(entry: &Arc<JwtEntry>) -> Rc<TokenClient> {
    let JwtKeys::Configured(keys) = &entry.keys else { panic!("{entry:?}") };
    let verified = jwt::verify(TOKEN.as_bytes(), &entry.terms, keys, NOON).unwrap();
    Rc::new(TokenClient::new(entry, verified))
}

#[test]
fn claims_replace_the_headers_of_clients_in_every_spelling() {
    let client = client(&entry(&[("sub", "X-User-Id"), ("team", "X-Team"), ("missing", "X-Role")]));
    let head = get(&[
        ("X-User-Id", "root"),
        ("x_user_id", "root"),
        ("X-User_ID", "root"),
        ("X-Role", "admin"),
        ("X-User-Ids", "kept"),
    ]);
    let mut edits = HeadEdits::for_forwarding();
    client.edit(&mut edits, head.fields()).unwrap();
    let kept: Vec<_> = edits.kept(head.fields()).map(|field| field.name.to_ascii_lowercase()).collect();
    assert_eq!(kept, [b"x-user-ids".to_vec()]);
    let added: Vec<_> = edits.added().map(|field| (field.name.to_vec(), field.value.to_vec())).collect();
    assert_eq!(added, [(b"X-User-Id".to_vec(), b"ada".to_vec()), (b"X-Team".to_vec(), b"a team".to_vec())]);
}

#[test]
fn tokens_end_in_the_cache_at_their_time_and_belong_to_one_entry() {
    let first = entry(&[]);
    let second = entry(&[]);
    let cache = TokenCache::default();
    let client = client(&first);
    let key = TokenKey::new(&first, 0, TOKEN.as_bytes());
    cache.insert(key, client.clone(), TOKEN.len());
    assert!(cache.get(&key, NOON).is_some_and(|found| Rc::ptr_eq(&found, &client)));
    assert!(cache.get(&TokenKey::new(&second, 0, TOKEN.as_bytes()), NOON).is_none());
    assert!(cache.get(&TokenKey::new(&first, 0, b"other"), NOON).is_none());
    let end = NOON.after(Duration::from_secs(3_600));
    assert!(cache.get(&key, Timestamp(end.0 - 1)).is_some());
    assert!(cache.get(&key, end).is_none() && cache.get(&key, NOON).is_none(), "it is forgotten");
}

#[test]
fn cached_tokens_are_bounded_and_those_in_use_remain() {
    let entry = entry(&[]);
    let client = client(&entry);
    for len in [1, 16 * 1024] {
        let cache = TokenCache::default();
        let used = TokenKey::new(&entry, 0, b"used");
        cache.insert(used, client.clone(), len);
        for number in 0..30_000_u32 {
            cache.insert(TokenKey::new(&entry, 0, &number.to_be_bytes()), client.clone(), len);
            assert!(cache.get(&used, NOON).is_some(), "{number}");
        }
        let cached = cache.valid.borrow();
        let count = cached.young.len() + cached.old.len();
        assert!(count <= TOKENS_MAX && count * len <= TOKEN_BYTES_MAX, "{count}");
    }
}

#[test]
fn refused_tokens_are_remembered_for_ten_seconds_within_a_bound() {
    let entry = entry(&[]);
    let cache = TokenCache::default();
    let key = |generation, token: &[u8]| TokenKey::new(&entry, generation, token);
    let later = |seconds| NOON.after(Duration::from_secs(seconds));
    cache.refuse(key(0, b"a"), JwtError::Signature, NOON);
    cache.refuse(key(0, b"b"), JwtError::NotYet, NOON);
    assert_eq!(cache.refusal(&key(0, b"a"), later(9)), Some(JwtError::Signature));
    assert_eq!(cache.refusal(&key(0, b"a"), later(10)), None);
    assert_eq!((cache.refusal(&key(1, b"a"), NOON), cache.refusal(&key(0, b"b"), NOON)), (None, None));
    for number in 0..3 * REFUSED_MAX {
        cache.refuse(key(0, &number.to_be_bytes()), JwtError::Malformed, NOON);
        assert!(cache.refused.borrow().len() <= REFUSED_MAX);
    }
    assert!(cache.refusal(&key(0, &(3 * REFUSED_MAX - 1).to_be_bytes()), NOON).is_some());
}
