//! Where records are kept, and by how many instances.

use super::*;

const REDIS: &str = "rediss://user:canary@redis.example:6380/2";

#[test]
fn redis_is_a_store_for_several_instances() {
    let more = [("STORE_URL", REDIS), ("INSTANCES", "2"), ("SESSION_SECRET", SECRET)];
    let settings = load(&with(scalekit(), &more)).unwrap();
    let StoreLocation::Redis(address) = &settings.store else { panic!("{:?}", settings.store) };
    assert_eq!(address.to_string(), "rediss://redis.example:6380/2");
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn several_instances_want_a_store_that_they_can_share() {
    for store in ["", "sqlite:", "sqlite:/x.db", "memory:"] {
        let more = [("STORE_URL", store), ("INSTANCES", "2"), ("SESSION_SECRET", SECRET)];
        assert_eq!(problems(&with(scalekit(), &more)), ["STORE_URL"], "{store}");
    }
}

#[test]
fn a_store_that_is_none_hides_no_bad_number_of_instances() {
    let more = [("STORE_URL", "mysql://x"), ("INSTANCES", "0")];
    assert_eq!(problems(&with(scalekit(), &more)), ["STORE_URL", "INSTANCES"]);
}

/// A secret made on each machine would be another one on each.
#[test]
fn redis_wants_a_secret_that_is_kept() {
    assert_eq!(problems(&with(scalekit(), &[("STORE_URL", REDIS)])), ["SESSION_SECRET"]);
}

#[test]
fn plain_text_through_the_internet_is_warned_of() {
    let warnings = |url| {
        let more = [("STORE_URL", url), ("SESSION_SECRET", SECRET)];
        load(&with(scalekit(), &more)).unwrap().warnings
    };
    let about_the_store = |url| warnings(url).iter().any(|it| it.contains("STORE_URL"));
    assert!(about_the_store("redis://redis.example") && !about_the_store("redis://valkey:6379"));
}
