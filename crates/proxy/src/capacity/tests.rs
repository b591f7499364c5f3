use config::snapshot::Connections;

use super::*;

/// Bounds for tests of other modules.
pub(crate) const CONNECTIONS: Connections = Connections {
    max: 1,
    per_address: 1,
    keep_alive: None,
    in_flight_per_key: 1,
    in_flight_per_address: 1,
    in_flight_anonymous: 1,
};

fn connections(max: u32, per_address: u32) -> Connections {
    Connections {
        max,
        per_address,
        keep_alive: None,
        in_flight_per_key: 1,
        in_flight_per_address: 2,
        in_flight_anonymous: 3,
    }
}

/// Returns an address that is not in the bucket of any of `others`.
fn apart(capacity: &Capacity, others: &[IpAddr]) -> IpAddr {
    let bucket = |address: &IpAddr| capacity.by_address.bucket(*address).0;
    let mut addresses = (1..=255).map(|last| IpAddr::from([203, 0, 113, last]));
    addresses.find(|address| others.iter().all(|other| bucket(other) != bucket(address))).unwrap()
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

#[test]
fn connections_are_bounded_in_all_and_by_address() {
    let capacity = Capacity::new(connections(3, 2), 10_000, 0);
    let permits = [capacity.connect(HERE), capacity.connect(HERE)];
    assert!(capacity.connect(HERE).is_err());
    let other = capacity.connect(THERE);
    assert!(capacity.connect(THERE).is_err());
    drop((permits, other));
    assert_eq!(capacity.connections(), 0);
    assert!(capacity.addresses.lock().unwrap().is_empty());
}

#[test]
fn what_is_read_on_has_a_part_of_the_places() {
    let capacity = Capacity::new(connections(1, 1), 10_000, 0);
    let places: Vec<DetachedPermit> = std::iter::from_fn(|| capacity.read_on().ok()).collect();
    assert_eq!(places.len(), 1_000);
    drop(places);
    assert!(capacity.read_on().is_ok());
}

#[test]
fn tunnels_have_a_part_of_the_places() {
    let capacity = Capacity::new(connections(1, 1), 10_000, 0);
    let places: Vec<TunnelPermit> = std::iter::from_fn(|| capacity.tunnel().ok()).collect();
    assert_eq!(places.len(), 5_000);
    drop(places);
    assert!(capacity.tunnel().is_ok());
}

#[test]
fn requests_in_flight_are_bounded_and_one_of_few_may_be_a_tunnel() {
    let capacity = Capacity::new(connections(1, 1), 1, 0);
    let permit = capacity.enter().unwrap();
    assert!(capacity.enter().is_err());
    assert!(capacity.tunnel().is_ok() && capacity.read_on().is_ok());
    drop(permit);
    assert_eq!(capacity.in_flight(), 0);
    assert!(capacity.enter().is_ok());
}

#[test]
fn anonymous_requests_are_bounded_by_address_and_in_all() {
    let capacity = Capacity::new(connections(1, 1), 8, 0);
    let anonymous = |address: IpAddr| {
        let mut permit = capacity.enter().unwrap();
        permit.count_anonymous(address).map(|()| permit)
    };
    let [first, second, third]: [IpAddr; 3] =
        ["2001:db8::1", "2001:db8::ff", "2001:db8::2"].map(|it| it.parse().unwrap());
    let here = [anonymous(first).unwrap(), anonymous(second).unwrap()];
    assert_eq!(anonymous(third).unwrap_err(), AddressBound::Address(2));
    let other = apart(&capacity, &[first]);
    let there = anonymous(other).unwrap();
    assert_eq!(anonymous(apart(&capacity, &[first, other])).unwrap_err(), AddressBound::All);
    // A refused request holds no place; requests whose clients are identified have the others.
    assert_eq!(capacity.in_flight(), 3);
    let known: Vec<RequestPermit> = std::iter::from_fn(|| capacity.enter().ok()).collect();
    assert_eq!(known.len(), 5);
    drop(here);
    assert!(anonymous(third).is_ok());
    drop((there, known));
    assert!(capacity.by_address.is_empty());
    assert_eq!(capacity.in_flight.load(Ordering::Relaxed), 0);
}

#[test]
fn requests_that_wait_for_identification_and_passwords_have_shares_of_their_own() {
    let capacity = Capacity::new(connections(1, 1), 12, 0);
    let mut permit = capacity.enter().unwrap();
    permit.count_anonymous(HERE).unwrap();
    let waiting = [capacity.identify(HERE).unwrap(), capacity.identify(HERE).unwrap()];
    assert_eq!(capacity.identify(HERE).unwrap_err(), AddressBound::Address(2));
    let there = apart(&capacity, &[HERE]);
    let other = capacity.identify(there).unwrap();
    assert_eq!(capacity.identify(there).unwrap_err(), AddressBound::All, "a quarter of 12 wait");
    let passwords: Vec<PasswordPermit> = std::iter::from_fn(|| capacity.check_password(HERE).ok()).collect();
    assert_eq!(passwords.len(), 4);
    assert!(capacity.check_password(there).is_ok());
    let fetch = capacity.await_keys(HERE).unwrap();
    assert!(capacity.await_keys(there).is_err(), "an eighth of 12 wait for keys");
    drop((permit, waiting, other, passwords, fetch));
    assert!(capacity.by_address.is_empty() && capacity.identify(HERE).is_ok());
}

#[test]
fn requests_of_one_address_that_wait_for_keys_leave_room_for_others() {
    let capacity = Capacity::new(connections(1, 1), 10_000, 0);
    let fetches: Vec<KeyFetchPermit> = std::iter::from_fn(|| capacity.await_keys(HERE).ok()).collect();
    assert_eq!(fetches.len(), 16);
    assert!(capacity.await_keys(apart(&capacity, &[HERE])).is_ok());
    drop(fetches);
    assert!(capacity.by_address.is_empty());
}

#[test]
fn buffered_bytes_are_bounded_and_given_back() {
    let capacity = Capacity::new(connections(1, 1), 10_000, 40);
    let caller = access::Subject::Key(access::Caller {
        user: access::UserNo(1),
        key: access::KeyNo(1),
        plan: access::PlanId::NIL,
    });
    let mut one = capacity.hold(&caller);
    let mut two = capacity.hold(&caller);
    assert!(one.grow(6).is_ok());
    assert_eq!(two.grow(5), Err(MemoryExceeded::Now { others_of_key: 6, may_hold: 10 }));
    assert!(two.another().grow(4).is_ok());
    assert!(two.grow(4).is_ok());
    drop(one);
    assert_eq!((capacity.buffered_bytes(), capacity.body_bytes_max()), (4, 10));
}

#[test]
fn a_request_that_no_key_may_ever_hold_is_told_apart_from_a_share_that_is_used_up() {
    let capacity = Capacity::new(connections(1, 1), 10_000, 40);
    let of = |user, key| {
        access::Subject::Key(access::Caller {
            user: access::UserNo(user),
            key: access::KeyNo(key),
            plan: access::PlanId::NIL,
        })
    };
    let mut packed = capacity.hold(&of(1, 1));
    let mut inflated = packed.another();
    packed.grow(6).unwrap();
    assert_eq!(inflated.grow(5), Err(MemoryExceeded::Ever { bytes_max: 10 }), "6 and 5 are one request's");
    inflated.grow(3).unwrap();
    let mut other = capacity.hold(&of(2, 2));
    other.grow(5).unwrap();
    assert_eq!(
        inflated.grow(1),
        Err(MemoryExceeded::Now { others_of_key: 0, may_hold: 8 }),
        "another user holds the rest"
    );
    assert_eq!(inflated.grow(2), Err(MemoryExceeded::Ever { bytes_max: 10 }));
    drop(packed);
    inflated.grow(1).unwrap();
}

#[test]
fn calls_of_a_key_are_bounded_until_they_end() {
    let capacity = Capacity::new(connections(1, 1), 10_000, 0);
    let caller = access::Subject::Key(access::Caller {
        user: access::UserNo(1),
        key: access::KeyNo(1),
        plan: access::PlanId::NIL,
    });
    let call = capacity.call(&caller).unwrap();
    assert_eq!(capacity.call(&caller).err(), Some(CallBound::Key(1)));
    drop(call);
    assert!(capacity.call(&caller).is_ok());
}
