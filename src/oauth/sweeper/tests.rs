//! Persons who have not been here for a long time, and one who comes back at that moment.

use std::sync::Arc;

use chrono::DateTime;
use url::Url;

use super::*;
use crate::{
    domain::{AuthMode, Entropy, ManualClock, Secret, SystemEntropy},
    identity::{Keyring, People, Person, samples},
    oauth::{ClientDocuments, Clients, Codes, Endpoints, Grants, RedirectPolicy},
    store::Store,
};

struct World {
    sweeper: Sweeper,
    people: People,
    clock: ManualClock,
}

fn world() -> World {
    let manual = ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let clock = Arc::new(manual.clone());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let store = Store::memory(clock.clone());
    let own = Url::parse("https://prs.example").unwrap();
    let endpoints = Endpoints::new(&own, false);
    let grants = Grants::new(store.clone(), clock.clone(), Arc::clone(&entropy));
    let codes = Codes::new(store.clone(), grants.clone(), clock.clone(), Arc::clone(&entropy));
    let clients = Clients::new(
        Keyring::new(Secret::from("k".repeat(32)), Vec::new()),
        endpoints.issuer(),
        RedirectPolicy::new(&[], own),
        ClientDocuments::none(),
        clock.clone(),
        Arc::clone(&entropy),
    );
    let server = AuthorizationServer::new(endpoints, clients, codes, grants);
    let linking = samples::linking(AuthMode::OAuth, store.clone(), clock);
    World {
        sweeper: Sweeper::new(server, linking),
        people: People::new(store, None, entropy),
        clock: manual,
    }
}

impl World {
    fn grants(&self) -> &Grants {
        self.sweeper.server.grants()
    }

    async fn meet(&self) -> Person {
        let account = crate::domain::GitHubAccount { id: 1, login: "octocat".to_owned() };
        self.people.meet(&account).await.unwrap()
    }
}

#[tokio::test]
async fn who_has_not_been_here_for_30_days_is_forgotten() {
    let world = world();
    let person = world.meet().await;
    world.grants().remember(&person).await.unwrap();
    world.clock.advance(chrono::Duration::days(30) - chrono::Duration::seconds(1));
    world.sweeper.sweep().await.unwrap();
    assert_eq!(world.meet().await, person);
    world.clock.advance(chrono::Duration::seconds(1));
    world.sweeper.sweep().await.unwrap();
    assert_ne!(world.meet().await.principal, person.principal);
    assert!(world.grants().abandoned(10).await.unwrap().is_empty());
}

/// What came back with the person is revoked: they are no longer known.
#[tokio::test]
async fn who_comes_back_at_that_moment_must_come_once_more() {
    let world = world();
    let person = world.meet().await;
    world.grants().remember(&person).await.unwrap();
    world.clock.advance(chrono::Duration::days(30));
    let abandoned = world.grants().abandoned(10).await.unwrap().remove(0);
    let back = world.grants().remember(&person).await.unwrap();
    assert_eq!(world.grants().remember(&person).await.unwrap(), back);
    world.sweeper.forget(&abandoned).await.unwrap();
    // A code that was issued meanwhile opens nothing any more.
    assert_ne!(world.grants().remember(&person).await.unwrap(), back);
    assert_ne!(world.meet().await.principal, person.principal);
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    let stop = CancellationToken::new();
    let sweeping = tokio::spawn(world().sweeper.run(stop.clone()));
    stop.cancel();
    sweeping.await.unwrap();
}
