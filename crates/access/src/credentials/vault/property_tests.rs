use std::collections::HashSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn key(bytes: [u8; 32]) -> MasterKey {
    MasterKey(Zeroizing::new(bytes))
}

fn vault(byte: u8) -> Vault {
    Vault::new(&key([byte; 32]), None)
}

fn row(id: u128) -> ProviderKeyId {
    ProviderKeyId(Uuid::from_u128(id))
}

fn owner(id: Option<u128>) -> Option<UserId> {
    id.map(|id| UserId(Uuid::from_u128(id)))
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

proptest! {
    #[test]
    fn sealed_credentials_decrypt(
        bytes in any::<[u8; 32]>(), id in any::<u128>(), user in any::<Option<u128>>(), text in "[!-~]{0,200}",
    ) {
        let vault = Vault::new(&key(bytes), None);
        let sealed = vault.seal(row(id), owner(user), &secret(&text)).unwrap();
        prop_assert_eq!(sealed.bytes.len(), NONCE_BYTES + text.len() + TAG_BYTES);
        prop_assert_eq!(vault.open(row(id), owner(user), &sealed), Ok(secret(&text)));
        // A node whose previous key this is opens it as well.
        let later = Vault::new(&key([7; 32]), Some(&key(bytes)));
        prop_assert_eq!(later.open(row(id), owner(user), &sealed), Ok(secret(&text)));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_opens(text in "[!-~]{1,60}", at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let sealed = vault(1).seal(row(1), owner(Some(2)), &secret(&text)).unwrap();
        let at = at.index(sealed.bytes.len());
        let mut flipped = sealed.clone();
        flipped.bytes[at] ^= 1 << bit;
        prop_assert_eq!(vault(1).open(row(1), owner(Some(2)), &flipped), Err(VaultError::Altered));
        let cut = SealedCredential { bytes: sealed.bytes[..at].to_vec(), ..sealed.clone() };
        prop_assert_eq!(vault(1).open(row(1), owner(Some(2)), &cut), Err(VaultError::Altered));
        let longer = SealedCredential { bytes: [&sealed.bytes[..], &[bit]].concat(), ..sealed };
        prop_assert_eq!(vault(1).open(row(1), owner(Some(2)), &longer), Err(VaultError::Altered));
    }

    #[test]
    fn no_other_row_owner_or_key_opens(
        ids in any::<(u128, u128)>(), users in any::<(Option<u128>, Option<u128>)>(), keys in any::<(u8, u8)>(),
    ) {
        // No user has the nil id.
        prop_assume!(ids.0 != ids.1 && users.0 != users.1 && keys.0 != keys.1);
        prop_assume!(users.0 != Some(0) && users.1 != Some(0));
        let vault = vault(keys.0);
        let sealed = vault.seal(row(ids.0), owner(users.0), &secret("sk-live")).unwrap();
        prop_assert_eq!(vault.open(row(ids.1), owner(users.0), &sealed), Err(VaultError::Altered));
        prop_assert_eq!(vault.open(row(ids.0), owner(users.1), &sealed), Err(VaultError::Altered));
        let other = self::vault(keys.1);
        let refused = VaultError::OtherKey { master: vault.current() };
        prop_assert_eq!(other.open(row(ids.0), owner(users.0), &sealed), Err(refused));
        // The same holds if the row names the key of this vault.
        let renamed = SealedCredential { master: other.current(), ..sealed };
        prop_assert_eq!(other.open(row(ids.0), owner(users.0), &renamed), Err(VaultError::Altered));
    }

    #[test]
    fn invalid_text_is_not_parsed_as_a_master_key(text in ".{0,60}") {
        prop_assume!(!text.bytes().all(|byte| byte.is_ascii_graphic()) || !(43..=44).contains(&text.len()));
        prop_assert_eq!(MasterKey::parse(&text).map(|_| ()), Err(NoMasterKey));
    }
}

#[test]
fn output_of_openssl_is_a_master_key() {
    let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd/v8=";
    let mut bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    bytes[30..].copy_from_slice(&[0xfe, 0xff]);
    for same in [text, &text[..43], &text.replace('/', "_"), &text.replace('/', "_")[..43]] {
        assert_eq!(*MasterKey::parse(same).unwrap().0, bytes, "{same}");
    }
    // The last text has bits that do not belong to any byte.
    let others = [
        String::new(),
        text[1..].to_owned(),
        format!("{text}="),
        format!("{text}\n"),
        format!(" {}", &text[1..]),
        "0".repeat(64),
        "é".repeat(22),
        text.replace("v8=", "v9="),
    ];
    for other in others {
        assert_eq!(MasterKey::parse(&other).map(|_| ()), Err(NoMasterKey), "{other:?}");
    }
}

#[test]
fn nonces_are_distinct() {
    let vault = vault(1);
    let nonce = |_| vault.seal(row(1), None, &secret("sk-live")).unwrap().bytes[..NONCE_BYTES].to_vec();
    let nonces: HashSet<Vec<u8>> = (0..10_000).map(nonce).collect();
    assert_eq!(nonces.len(), 10_000);
}

#[test]
fn a_generated_key_reads_back_and_is_another_each_time() {
    let one = random_text().unwrap();
    let other = random_text().unwrap();
    assert_eq!(one.expose().len(), 44);
    assert_ne!(one, other);
    assert!(MasterKey::parse(one.expose()).is_ok());
}

/// Stores contain fingerprints, so they must never change. The digest was computed with `sha256sum`.
#[test]
fn a_fingerprint_is_half_a_digest() {
    let shown = key(*b"0123456789abcdef0123456789abcdef").fingerprint().to_string();
    assert_eq!(shown, "cb90e64273ad399e8d7b2b4eec189b43");
}

/// A credential that this version sealed can be opened by every later one. OpenSSL created these bytes.
#[test]
fn credentials_of_existing_stores_decrypt() {
    let bytes =
        "000102030405060708090a0b5e8e9613bf35a6c4cdf117d703bca529906d71f455d31a85bf698f0244104dad4d24bb64e094b0";
    let bytes = (0..bytes.len() / 2).map(|at| u8::from_str_radix(&bytes[2 * at..2 * at + 2], 16).unwrap()).collect();
    let key = key(*b"0123456789abcdef0123456789abcdef");
    let sealed = SealedCredential { master: key.fingerprint(), bytes };
    let opened = Vault::new(&key, None).open(row(1), owner(Some(2)), &sealed);
    assert_eq!(opened, Ok(secret("sk-of-the-first-version")));
}

#[test]
fn master_keys_and_sealed_credentials_do_not_print() {
    let key = key(*b"0123456789abcdef0123456789abcdef");
    let vault = Vault::new(&key, Some(&key));
    let sealed = vault.seal(row(1), None, &secret("sk-live-credential")).unwrap();
    let shown = format!("{key:?} {vault:?} {sealed:?}");
    assert!(!shown.contains("0123456789abcdef") && !shown.contains("48, 49") && !shown.contains("sk-live"), "{shown}");
}

#[test]
fn a_credential_that_is_no_text_does_not_open() {
    let vault = vault(1);
    let mut text = [0xff_u8; 4];
    let nonce = Nonce::<U12>::from([0_u8; NONCE_BYTES]);
    let buffer = InOutBuf::from(text.as_mut_slice());
    let tag = vault.current.cipher.encrypt_inout_detached(&nonce, &bound_to(row(1), None), buffer).unwrap();
    let bytes = [&[0_u8; NONCE_BYTES][..], &text, tag.as_slice()].concat();
    let sealed = SealedCredential { master: vault.current(), bytes };
    assert_eq!(vault.open(row(1), None, &sealed), Err(VaultError::Altered));
}
