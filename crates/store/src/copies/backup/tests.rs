use std::os::unix::fs::PermissionsExt;

use access::{Credits, Secret, TicketHash, UserStatus};

use super::*;
use crate::copies::copy::tests::filled;
use crate::fixture::{Place, tell};
use crate::{Email, NewLink, NewSession, NewUser, Purpose, SessionCredential, UserRef};

#[tokio::test]
async fn a_backup_of_either_database_is_one_file_that_can_be_copied_back() {
    for place in Place::both().await {
        let store = filled(&place).await;
        let file = place.folder.path().join("backup");
        let written = write(&store, &file, "1.2.3", |_| ()).await.unwrap();
        let beside: Vec<_> =
            std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!beside.iter().any(|name| name.to_string_lossy().starts_with("backup-")), "{beside:?}");
        assert!(!beside.iter().any(|name| name.to_string_lossy().contains(".part")), "{beside:?}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        let (backup, taken_at) = open(&file, store.clock().clone()).await.unwrap();
        assert_eq!(taken_at, store.clock().now());
        let target = Place::sqlite();
        assert_eq!(copy(&backup, &target.open().await, |_| ()).await.unwrap(), written);
    }
}

#[tokio::test]
async fn a_file_that_is_there_is_not_written_over() {
    let place = Place::sqlite();
    let store = place.open().await;
    let file = place.folder.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let refused = write(&store, &file, "1.2.3", |_| ()).await.unwrap_err();
    assert!(matches!(refused, BackupError::Folder(_)), "{refused:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn what_is_no_backup_is_left_as_it_is() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let other = place.folder.path().join("other");
    std::fs::write(&other, "no database").unwrap();
    for file in [other, place.folder.path().join("absent"), place.folder.path().join("tollgate.db")] {
        let before = std::fs::read(&file).ok();
        let refused = open(&file, Clock::system()).await.unwrap_err();
        assert!(matches!(refused, BackupError::NoBackup { .. }), "{refused:?}");
        assert_eq!(std::fs::read(&file).ok(), before);
    }
}

/// Restores a file into a new store.
async fn restored(file: &Path, clock: &Clock) -> Result<Vec<CopiedTable>, BackupError> {
    let (backup, _) = open(file, clock.clone()).await?;
    let target = Place::sqlite();
    let copied = restore(&backup, &target.open().await, |_| ()).await;
    backup.close().await;
    Ok(copied?)
}

fn rows(tables: &[CopiedTable]) -> u64 {
    tables.iter().map(|of| of.rows).sum()
}

#[tokio::test]
async fn a_backup_that_was_cut_is_refused_at_any_length() {
    let place = Place::sqlite();
    let store = filled(&place).await;
    let file = place.folder.path().join("backup");
    let written = write(&store, &file, "1.2.3", |_| ()).await.unwrap();
    let whole = std::fs::read(&file).unwrap();
    let eighths = (0..8).map(|eighth| whole.len() * eighth / 8);
    for length in eighths.chain([100, whole.len() - 4_096, whole.len() - 1]) {
        let cut = place.folder.path().join(format!("cut-{length}"));
        std::fs::write(&cut, &whole[..length]).unwrap();
        assert!(restored(&cut, store.clock()).await.is_err(), "{length} of {} bytes", whole.len());
    }
    assert_eq!(rows(&restored(&file, store.clock()).await.unwrap()), rows(&written));
}

#[tokio::test]
async fn a_backup_of_an_older_version_is_migrated_and_one_of_a_newer_version_is_refused() {
    let place = Place::sqlite();
    let store = filled(&place).await;
    let file = place.folder.path().join("backup");
    let written = write(&store, &file, "1.2.3", |_| ()).await.unwrap();

    let older = tempfile::tempdir().unwrap();
    let copied = older.path().join("tollgate.db");
    std::fs::copy(&file, &copied).unwrap();
    let options = crate::Options { url: None, data: older.path(), migrate: true, clock: store.clock().clone() };
    let newest = crate::opening::migration::undo(&options).await.unwrap().unwrap().version;
    assert!(crate::opening::migration::down(&options, newest).await.unwrap());
    // The newest migration creates no table, so going back deletes no row.
    assert_eq!(rows(&restored(&copied, store.clock()).await.unwrap()), rows(&written));

    let (backup, _) = open(&file, store.clock().clone()).await.unwrap();
    tell(
        &backup,
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         VALUES (999, 'of the future', CURRENT_TIMESTAMP, true, x'00', 0)",
    )
    .await;
    for floor in [1, 999] {
        tell(&backup, &format!("UPDATE schema_floor SET version = {floor}")).await;
        let refused = restored(&file, store.clock()).await;
        assert!(refused.is_err(), "{floor}: {refused:?}");
    }
    backup.close().await;
}

#[tokio::test]
async fn what_an_old_backup_brings_back_is_told() {
    let place = Place::sqlite();
    let store = filled(&place).await;
    let user = store.users().await.unwrap().remove(0);
    let phc = Secret::new("$one".to_owned());
    store.set_password(&crate::audit::Actor::COMMAND, user.id, &phc, None).await.unwrap();
    let rotated =
        store.create_key(&crate::audit::Actor::COMMAND, crate::copies::copy::tests::key(user.id)).await.unwrap();
    let request = crate::RepeatableRequest::new(user.id, "create", b"once", b"{}");
    let create = async || {
        store
            .create_key_once(&crate::audit::Actor::COMMAND, crate::copies::copy::tests::key(user.id), &request)
            .await
            .unwrap()
    };
    let repeated = create().await;
    let file = place.folder.path().join("backup");
    write(&store, &file, "1.2.3", |_| ()).await.unwrap();
    let (backup, _) = open(&file, store.clock().clone()).await.unwrap();
    assert_eq!(brought_back(&backup, &store).await.unwrap(), BroughtBack::default());
    assert_eq!(create().await.id, repeated.id, "the key has another secret");

    let key = store.keys(Some(user.id)).await.unwrap().remove(0);
    store.revoke_key(&crate::audit::Actor::COMMAND, key.id).await.unwrap();
    let secret = crate::copies::copy::tests::key(user.id).secret;
    let rotation = crate::Rotation { secret, grace: std::time::Duration::ZERO };
    store.rotate_key(&crate::audit::Actor::COMMAND, rotated.id, rotation).await.unwrap();
    let phc = Secret::new("$another".to_owned());
    store.set_password(&crate::audit::Actor::COMMAND, user.id, &phc, None).await.unwrap();
    store
        .change_user(
            &crate::audit::Actor::COMMAND,
            &UserRef::Id(user.id),
            crate::UserChange { status: Some(UserStatus::Suspended), ..crate::UserChange::default() },
        )
        .await
        .unwrap();
    let spent =
        format!("UPDATE daily_usage SET credits = credits + 5000000 WHERE day = {}", store.clock().now().day().0);
    tell(&store, &spent).await;
    let back = brought_back(&backup, &store).await.unwrap();
    assert_eq!((back.passwords, back.users, back.credits), (1, 1, Credits::whole(5)));
    assert_eq!(back.keys, [(key.prefix, key.last4, "läptop".to_owned())]);
    let replaced = [rotated, repeated].map(|key| (key.prefix, key.last4, "läptop".to_owned()));
    assert_eq!(back.secrets, replaced);
}

#[tokio::test]
async fn no_session_and_no_link_of_a_backup_opens_anything() {
    for place in Place::both().await {
        let store = filled(&place).await;
        let by = crate::audit::Actor::COMMAND;
        let user = store.users().await.unwrap().remove(0);
        let phc = Secret::new("$one".to_owned());
        store.set_password(&by, user.id, &phc, None).await.unwrap();
        let hash = TicketHash([1; 32]);
        let expires_at = Timestamp(store.clock().now().0 + 1_000_000);
        let credential = SessionCredential::Password(phc);
        let new = NewSession { user: user.id, credential, address: None, agent: None, refresh: hash, expires_at };
        let session = store.begin_session(&by, new).await.unwrap();
        let purpose = Purpose::Password { user: user.id };
        store.make_link(&by, NewLink { purpose, hash, expires_at }).await.unwrap();
        let file = place.folder.path().join("backup");
        write(&store, &file, "1.2.3", |_| ()).await.unwrap();
        let (backup, _) = open(&file, store.clock().clone()).await.unwrap();
        for of in [&store, &backup] {
            let state = of.session_state(session.id).await.unwrap().unwrap();
            assert_eq!(state.open_at(store.clock().now()), Ok(()), "a backup is what was");
            assert!(of.find_link(hash).await.unwrap().is_some());
        }
        let target = Place::sqlite();
        let target = target.open().await;
        restore(&backup, &target, |_| ()).await.unwrap();
        let state = target.session_state(session.id).await.unwrap().unwrap();
        assert_eq!(state.session.ended_at, Some(store.clock().now()));
        assert_eq!(target.find_link(hash).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing() {
    let place = Place::sqlite();
    let store = filled(&place).await;
    tell(&store, "UPDATE names SET id = x'00' WHERE no = 1").await;
    let folder = tempfile::tempdir().unwrap();
    write(&store, &folder.path().join("backup"), "1.2.3", |_| ()).await.unwrap_err();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_draft_takes_over_nothing_of_who_had_its_name_or_was_copied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("draft");
    let mine = folder.path().join("mine");
    for name in ["draft", "draft-wal", "draft-shm", "mine"] {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    std::fs::set_permissions(&mine, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let draft = Draft::make(file.clone()).unwrap().copy(&mine).unwrap();
    assert_eq!(std::fs::read(draft.file()).unwrap(), b"mine");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    drop(draft);
    assert!(!file.exists() && mine.exists());
}

#[tokio::test]
async fn numbers_of_users_and_keys_that_a_backup_does_not_know_are_not_given_again() {
    for place in Place::both().await {
        let store = filled(&place).await;
        let file = place.folder.path().join("backup");
        write(&store, &file, "1.2.3", |_| ()).await.unwrap();
        let known = store.users().await.unwrap().remove(0);
        let (backup, _) = open(&file, store.clock().clone()).await.unwrap();
        let mut users = vec![known.no];
        let mut keys = vec![store.keys(None).await.unwrap().remove(0).no];
        let mut given = async |store: &Store| {
            let email = Email::parse("grace@example.com").unwrap();
            let new = NewUser::member(email, "Grace", "pro");
            users.push(store.create_user(&crate::audit::Actor::COMMAND, new).await.unwrap().no);
            keys.push(
                store
                    .create_key(&crate::audit::Actor::COMMAND, crate::copies::copy::tests::key(known.id))
                    .await
                    .unwrap()
                    .no,
            );
        };
        given(&store).await;
        // Twice, because the backup contains no objects that were created after the first restore.
        for hour in 1..3 {
            let clock = Clock::manual(Timestamp(store.clock().now().0 + hour * 3_600_000_000));
            let target = tempfile::tempdir().unwrap();
            let options = crate::Options { url: None, data: target.path(), migrate: true, clock };
            let target = Store::open(options).await.unwrap();
            restore(&backup, &target, |_| ()).await.unwrap();
            given(&target).await;
        }
        assert!(users.is_sorted_by(|a, b| a.0 < b.0) && keys.is_sorted_by(|a, b| a.0 < b.0), "{users:?} {keys:?}");
    }
}
