//! Families of tokens: rotation, grace, reuse, revocation, bounds, and all of it at once.

mod interrupted;

use chrono::DateTime;
use futures_util::future::join_all;

use super::*;
use crate::{
    domain::{ManualClock, SystemEntropy},
    identity::ClientName,
};

const RESOURCE: &str = "https://prs.example/mcp";
const CLIENT: &str = "client";

struct World {
    grants: Grants,
    clock: ManualClock,
    person: Person,
}

fn world() -> World {
    let clock = clock();
    world_on(Store::memory(Arc::new(clock.clone())), clock)
}

fn clock() -> ManualClock {
    ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

/// On a file every step waits, so that what runs at the same time really comes in between.
async fn world_on_a_file(folder: &tempfile::TempDir) -> World {
    let clock = clock();
    let path = folder.path().join("store.db");
    let store = Store::sqlite(&path, Arc::new(clock.clone()));
    world_on(store.await.unwrap(), clock)
}

fn world_on(store: Store, clock: ManualClock) -> World {
    let grants = Grants::new(store, Arc::new(clock.clone()), Arc::new(SystemEntropy));
    World { grants, clock, person: person(1) }
}

fn person(github_id: u64) -> Person {
    Person { principal: PrincipalId::mint(&SystemEntropy), github_id }
}

fn terms(person: &Person) -> Terms {
    Terms {
        person: person.clone(),
        client: CLIENT.to_owned(),
        asker: Asker::Site { host: "claude.ai".to_owned(), claims: ClientName::default() },
        scope: Scope::PullRequests,
        resource: RESOURCE.to_owned(),
    }
}

impl World {
    async fn open_for(&self, person: &Person) -> (GrantId, TokenAnswer) {
        let epoch = self.grants.remember(person).await.unwrap();
        self.grants.open(terms(person), &epoch).await.unwrap()
    }

    async fn open(&self) -> (GrantId, TokenAnswer) {
        self.open_for(&self.person).await
    }

    async fn access(&self, token: &Secret) -> Result<Access, Unauthorized> {
        self.grants.check_access(token.expose_secret(), RESOURCE).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Result<TokenAnswer, ErrorCode> {
        self.grants.refresh(token, CLIENT).await.map_err(|error| error.code)
    }

    async fn is_empty(&self) -> bool {
        self.grants.list(&self.person.principal).await.unwrap().is_empty()
    }
}

fn refresh_of(tokens: &TokenAnswer) -> String {
    tokens.refresh_token.as_ref().unwrap().expose_secret().to_owned()
}

/// What this instance revoked counts at once, what another one revoked a moment later.
#[tokio::test(start_paused = true)]
async fn an_admission_lasts_as_long_as_its_grant() {
    let clock = clock();
    let store = Store::memory(Arc::new(clock.clone()));
    let (world, other) = (world_on(store.clone(), clock.clone()), world_on(store, clock));
    let (here, tokens) = world.open().await;
    let admission = world.access(&tokens.access_token).await.unwrap().admission;
    assert!(world.grants.still_stands(&admission).await.unwrap());
    world.grants.revoke(&world.person.principal, &here).await.unwrap();
    assert!(!world.grants.still_stands(&admission).await.unwrap());

    let (there, tokens) = world.open().await;
    let admission = world.access(&tokens.access_token).await.unwrap().admission;
    other.grants.revoke(&world.person.principal, &there).await.unwrap();
    tokio::time::advance(std::time::Duration::from_millis(60)).await;
    assert!(!world.grants.still_stands(&admission).await.unwrap());
    let told = tokio::time::timeout(
        std::time::Duration::from_secs(10),
        world.grants.until_ended(&admission),
    );
    told.await.expect("it is noticed").unwrap();
}

#[tokio::test]
async fn an_access_token_serves_its_person_and_resource_for_an_hour() {
    let world = world();
    let (id, tokens) = world.open().await;
    let access = world.access(&tokens.access_token).await.unwrap();
    assert_eq!((access.principal, access.admission.grant()), (world.person.principal.clone(), &id));
    let token = tokens.access_token.expose_secret();
    let elsewhere = world.grants.check_access(token, "https://evil.example/mcp").await.unwrap();
    assert_eq!(elsewhere.unwrap_err(), Unauthorized::Invalid);
    let refresh = refresh_of(&tokens);
    let mut forged = token.to_owned();
    forged.pop();
    forged.push(if token.ends_with('A') { 'B' } else { 'A' });
    for bad in [refresh.as_str(), &refresh.replace("prsr_", "prsa_"), &forged, "", "garbage"] {
        let refused = world.grants.check_access(bad, RESOURCE).await.unwrap();
        assert_eq!(refused.unwrap_err(), Unauthorized::Invalid, "{bad}");
    }
    world.clock.advance(Duration::seconds(ACCESS_SECONDS - 1));
    assert!(world.access(&tokens.access_token).await.is_ok());
    world.clock.advance(Duration::seconds(1));
    assert_eq!(world.access(&tokens.access_token).await.unwrap_err(), Unauthorized::Invalid);
}

#[tokio::test]
async fn a_refresh_token_rotates_and_ends_after_30_idle_or_90_days() {
    let world = world();
    let (_, mut tokens) = world.open().await;
    for _ in 0..3 {
        world.clock.advance(Duration::days(29));
        tokens = world.refresh(&refresh_of(&tokens)).await.unwrap();
        assert!(world.access(&tokens.access_token).await.is_ok());
    }
    world.clock.advance(Duration::days(3));
    assert_eq!(world.refresh(&refresh_of(&tokens)).await.unwrap_err(), ErrorCode::InvalidGrant);
    let (_, tokens) = world.open().await;
    world.clock.advance(Duration::days(30));
    assert_eq!(world.refresh(&refresh_of(&tokens)).await.unwrap_err(), ErrorCode::InvalidGrant);
}

#[tokio::test]
async fn parallel_refreshes_succeed_and_give_one_successor() {
    let folder = tempfile::tempdir().unwrap();
    let world = world_on_a_file(&folder).await;
    let (_, first) = world.open().await;
    let token = refresh_of(&first);
    let answers = join_all((0..10).map(|_| world.refresh(&token))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let successors: Vec<_> = answers.iter().filter(|a| a.refresh_token.is_some()).collect();
    assert_eq!(successors.len(), 1);
    for answer in &answers {
        assert!(world.access(&answer.access_token).await.is_ok());
    }
    assert!(world.access(&first.access_token).await.is_ok());
    // The successor is good, also while the grace of the first still runs.
    let next = world.refresh(&refresh_of(successors[0])).await.unwrap();
    assert!(world.refresh(&token).await.unwrap().refresh_token.is_none());
    assert!(world.access(&next.access_token).await.is_ok());
}

#[tokio::test]
async fn late_reuse_ends_the_family() {
    let world = world();
    let (id, first) = world.open().await;
    let old = refresh_of(&first);
    let second = world.refresh(&old).await.unwrap();
    world.clock.advance(GRACE);
    assert!(world.refresh(&old).await.is_ok());
    world.clock.advance(Duration::seconds(1));
    assert_eq!(world.refresh(&old).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(world.access(&second.access_token).await.is_err());
    assert_eq!(world.refresh(&refresh_of(&second)).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(!world.grants.is_live(&id).await.unwrap());
    assert!(world.is_empty().await);
}

#[tokio::test]
async fn a_token_of_long_ago_ends_the_family_too() {
    let world = world();
    let (_, first) = world.open().await;
    let mut latest = world.refresh(&refresh_of(&first)).await.unwrap();
    for _ in 0..20 {
        world.clock.advance(Duration::hours(1));
        latest = world.refresh(&refresh_of(&latest)).await.unwrap();
    }
    assert!(world.refresh(&refresh_of(&first)).await.is_err());
    assert!(world.access(&latest.access_token).await.is_err());
}

#[tokio::test]
async fn grace_is_given_ten_times() {
    let world = world();
    let (_, first) = world.open().await;
    let old = refresh_of(&first);
    let second = world.refresh(&old).await.unwrap();
    for _ in 0..MOST_GRACES {
        assert!(world.refresh(&old).await.is_ok());
    }
    assert_eq!(world.refresh(&old).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(world.access(&second.access_token).await.is_err());
}

#[tokio::test]
async fn what_is_made_up_or_anothers_disturbs_nothing() {
    let world = world();
    let (_, tokens) = world.open().await;
    let (_, others) = world.open_for(&person(2)).await;
    let (own, other) = (refresh_of(&tokens), refresh_of(&others));
    // The prefix and the place of the grant are known to whoever saw an access token.
    let head = "prsr_".len() + 22;
    let foreign_mark = format!("{}{}", &own[..head], &other[head..]);
    for bad in [foreign_mark.as_str(), tokens.access_token.expose_secret(), "", "x", &own[1..]] {
        assert_eq!(world.refresh(bad).await.unwrap_err(), ErrorCode::InvalidGrant);
        world.grants.revoke_token(&bad.replace("prsa_", "prsr_"), CLIENT).await.unwrap();
        world.grants.revoke_token(&format!("{bad}x"), CLIENT).await.unwrap();
    }
    let stolen = world.grants.refresh(&own, "another client").await.unwrap_err();
    assert_eq!(stolen.code, ErrorCode::InvalidGrant);
    for token in [own.as_str(), tokens.access_token.expose_secret()] {
        let refused = world.grants.revoke_token(token, "another client").await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidGrant);
    }
    assert!(world.access(&tokens.access_token).await.is_ok());
    assert!(world.refresh(&own).await.is_ok());
}

#[tokio::test]
async fn revoking_a_token_ends_what_it_stands_for() {
    let world = world();
    let (_, tokens) = world.open().await;
    let next = world.refresh(&refresh_of(&tokens)).await.unwrap();
    let first = tokens.access_token.expose_secret();
    world.grants.revoke_token(first, CLIENT).await.unwrap();
    assert!(world.access(&tokens.access_token).await.is_err());
    assert!(world.access(&next.access_token).await.is_ok());
    // Also one that was replaced: it was the family's.
    world.grants.revoke_token(&refresh_of(&tokens), CLIENT).await.unwrap();
    assert!(world.access(&next.access_token).await.is_err());
    assert!(world.is_empty().await);
}

#[tokio::test]
async fn a_person_ends_only_their_own_grants() {
    let world = world();
    let stranger = person(2);
    let (id, tokens) = world.open().await;
    let (others, other_tokens) = world.open_for(&stranger).await;
    assert!(!world.grants.revoke(&stranger.principal, &id).await.unwrap());
    let nobody = PrincipalId::mint(&SystemEntropy);
    assert_eq!(world.grants.revoke_all(&nobody).await.unwrap(), 0);
    assert!(world.access(&tokens.access_token).await.is_ok());
    assert!(world.grants.revoke(&world.person.principal, &id).await.unwrap());
    assert!(!world.grants.revoke(&world.person.principal, &id).await.unwrap());
    assert!(world.access(&tokens.access_token).await.is_err());
    world.open().await;
    world.open().await;
    assert_eq!(world.grants.revoke_all(&world.person.principal).await.unwrap(), 2);
    assert!(world.is_empty().await);
    assert!(world.access(&other_tokens.access_token).await.is_ok());
    assert_eq!(GrantId::parse(others.as_str()), Some(others.clone()));
}

#[test]
fn a_grants_name_is_64_hexadecimal_digits_in_lower_case() {
    let digits = "0123456789abcdef".repeat(4);
    assert_eq!(GrantId::parse(&digits).unwrap().as_str(), digits);
    let with = |last: &str| format!("{}{last}", &digits[..63]);
    for bad in [
        "",
        "../../etc",
        &digits[..63],
        &with("ff"),
        &with("/"),
        &with(":"),
        &with("`"),
        &with("g"),
        &with("F"),
    ] {
        assert_eq!(GrantId::parse(bad), None, "{bad}");
    }
}

/// When the record of who has which grants ends, in hours from the first grant.
#[tokio::test]
async fn a_person_is_kept_for_30_days_after_the_last_grant_could_end() {
    let world = world();
    let start = world.clock.now();
    let kept = async || {
        let key = world.person.principal.digest();
        let found = world.grants.store.get::<PersonGrants>(&key).await.unwrap().unwrap();
        (found.expires_at - start).num_hours()
    };
    world.grants.remember(&world.person).await.unwrap();
    assert_eq!(kept().await, 30 * 24);
    let (first, tokens) = world.open().await;
    assert_eq!(kept().await, 60 * 24);
    // A refresh prolongs the grant; less than a day is not worth a write.
    world.clock.advance(Duration::hours(23));
    let tokens = world.refresh(&refresh_of(&tokens)).await.unwrap();
    assert_eq!(kept().await, 60 * 24);
    world.clock.advance(Duration::hours(1));
    let tokens = world.refresh(&refresh_of(&tokens)).await.unwrap();
    assert_eq!(kept().await, 61 * 24);
    // To be here again does not shorten it, and neither does one grant of two that ends.
    world.grants.remember(&world.person).await.unwrap();
    assert_eq!(kept().await, 61 * 24);
    let (second, _) = world.open().await;
    world.grants.end(&first).await.unwrap();
    assert!(world.refresh(&refresh_of(&tokens)).await.is_err());
    assert_eq!(kept().await, 61 * 24);
    let listed = world.grants.list(&world.person.principal).await.unwrap();
    assert_eq!(
        listed.into_iter().map(|view| view.id).collect::<Vec<_>>(),
        std::slice::from_ref(&second)
    );
    // Without any grant it counts from now on.
    world.clock.advance(Duration::days(5));
    world.grants.end(&second).await.unwrap();
    assert_eq!(kept().await, 36 * 24);
    world.open().await;
    world.clock.advance(Duration::days(1));
    assert_eq!(world.grants.revoke_all(&world.person.principal).await.unwrap(), 1);
    assert_eq!(kept().await, 37 * 24);
}

#[tokio::test]
async fn what_is_opened_while_all_is_revoked_does_not_survive() {
    let folder = tempfile::tempdir().unwrap();
    let world = world_on_a_file(&folder).await;
    for _ in 0..8 {
        let epoch = world.grants.remember(&world.person).await.unwrap();
        let (opened, _) = futures_util::future::join(
            join_all((0..3).map(|_| world.grants.open(terms(&world.person), &epoch))),
            world.grants.revoke_all(&world.person.principal),
        )
        .await;
        // What was opened was either revoked, or not opened in this epoch.
        for (_, tokens) in opened.into_iter().flatten() {
            assert!(world.access(&tokens.access_token).await.is_err());
        }
        assert!(world.grants.open(terms(&world.person), &epoch).await.is_err());
    }
}

#[tokio::test]
async fn a_grant_that_was_struck_off_the_list_is_not_kept() {
    // The moment that the test above meets only by luck: listed, all revoked, then kept.
    let world = world();
    let (listed, _) = world.open().await;
    let found = world.grants.store.get::<GrantRecord>(listed.as_str()).await.unwrap().unwrap();
    let epoch = world.grants.remember(&world.person).await.unwrap();
    world.grants.revoke_all(&world.person.principal).await.unwrap();
    let next = world.grants.remember(&world.person).await.unwrap();
    for epoch in [&epoch, &next] {
        let kept = world.grants.keep(&listed, &found.value, found.expires_at, epoch).await;
        assert_eq!(kept.unwrap_err().code, ErrorCode::InvalidGrant);
        assert!(!world.grants.is_live(&listed).await.unwrap());
    }
    // Revoking has begun, and what it has listed is not struck off yet.
    let (listed, _) = world.open().await;
    let found = world.grants.store.get::<GrantRecord>(listed.as_str()).await.unwrap().unwrap();
    world.grants.store.remove::<GrantRecord>(listed.as_str()).await.unwrap();
    let kept = world.grants.keep(&listed, &found.value, found.expires_at, &epoch).await;
    assert_eq!(kept.unwrap_err().code, ErrorCode::InvalidGrant);
    assert!(!world.grants.is_live(&listed).await.unwrap());
}

#[tokio::test]
async fn nothing_grows_without_end() {
    let world = world();
    let (oldest, _) = world.open().await;
    let (second, _) = world.open().await;
    world.clock.advance(Duration::minutes(1));
    for _ in 2..MOST_GRANTS {
        world.open().await;
    }
    assert!(world.grants.is_live(&oldest).await.unwrap());
    world.open().await;
    world.open().await;
    let listed = world.grants.list(&world.person.principal).await.unwrap();
    assert_eq!(listed.len(), MOST_GRANTS);
    assert!(!world.grants.is_live(&oldest).await.unwrap());
    assert!(!world.grants.is_live(&second).await.unwrap());
    // The tokens of one grant.
    let (id, mut tokens) = world.open().await;
    for _ in 0..3 * MOST_ACCESS {
        tokens = world.refresh(&refresh_of(&tokens)).await.unwrap();
    }
    let kept = world.grants.store.get::<GrantRecord>(id.as_str()).await.unwrap().unwrap().value;
    assert_eq!((kept.access.len(), kept.rotated.len()), (MOST_ACCESS, MOST_ROTATED));
    assert!(world.access(&tokens.access_token).await.is_ok());
    let bytes = serde_json::to_string(&kept).unwrap().len();
    assert!(bytes < 4096, "{bytes}");
    // What has run out makes room at the next refresh.
    world.clock.advance(Duration::seconds(ACCESS_SECONDS));
    world.refresh(&refresh_of(&tokens)).await.unwrap();
    let kept = world.grants.store.get::<GrantRecord>(id.as_str()).await.unwrap().unwrap().value;
    assert_eq!((kept.access.len(), kept.rotated.len()), (1, 1));
}

#[tokio::test]
async fn the_last_use_is_noted_without_prolonging_anything() {
    let world = world();
    let (_, tokens) = world.open().await;
    world.clock.advance(Duration::minutes(11));
    world.access(&tokens.access_token).await.unwrap();
    let view = world.grants.list(&world.person.principal).await.unwrap().remove(0);
    assert_eq!(view.last_used_at - view.created_at, Duration::minutes(11));
    assert!(matches!(view.client, Asker::Site { host, .. } if host == "claude.ai"));
    world.clock.advance(IDLE - Duration::minutes(11));
    assert!(world.is_empty().await);
}

#[tokio::test]
async fn a_person_without_a_live_grant_is_abandoned_after_30_days() {
    let world = world();
    let (_, tokens) = world.open().await;
    world.clock.advance(Duration::days(20));
    world.refresh(&refresh_of(&tokens)).await.unwrap();
    // The grant ends 30 days after this refresh, the person 30 days later.
    world.clock.advance(Duration::days(58));
    assert!(world.grants.abandoned(10).await.unwrap().is_empty());
    world.clock.advance(Duration::days(2));
    let abandoned = world.grants.abandoned(10).await.unwrap();
    assert_eq!(abandoned[0].person, world.person);
    // Who comes back meanwhile is not forgotten.
    let epoch = world.grants.remember(&world.person).await.unwrap();
    world.grants.forget(&abandoned[0]).await.unwrap();
    assert_eq!(world.grants.remember(&world.person).await.unwrap(), epoch);
    world.clock.advance(KEEP_PERSON);
    let abandoned = world.grants.abandoned(10).await.unwrap();
    world.grants.forget(&abandoned[0]).await.unwrap();
    assert!(world.grants.abandoned(10).await.unwrap().is_empty());
    assert_eq!(world.grants.purge(10).await.unwrap(), 1);
}

#[tokio::test]
async fn nothing_kept_opens_anything() {
    let world = world();
    let (id, tokens) = world.open().await;
    let kept = world.grants.store.get::<GrantRecord>(id.as_str()).await.unwrap().unwrap().value;
    let kept = format!("{} {}", id.as_str(), serde_json::to_string(&kept).unwrap());
    let access = tokens.access_token.expose_secret();
    let refresh = refresh_of(&tokens);
    for secret in [&access[5..27], &access[27..], &refresh[27..49], &refresh[49..]] {
        assert!(!kept.contains(secret));
    }
    assert!(!format!("{tokens:?}").contains(&access[5..27]));
}
