//! A call that waits for the person's browser.

use std::{sync::Arc, time::Duration};

use pr_summarizer::{
    domain::{AuthMode, Entropy, PrincipalId, Secret, SystemClock, SystemEntropy},
    identity::{
        AccountLinking, BrowserCookie, ClientName, Keyring, LinkingSettings, Principal,
        linking::{Accounts, Status},
    },
    store::Store,
    upstream::{
        Call,
        scalekit::{Scalekit, ScalekitSettings},
        transport::{Transport, TransportSettings},
    },
};
use tokio::time::Instant;

use crate::fakes::{FakeScalekit, World};

fn linking(world: &World) -> AccountLinking {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy) as Arc<dyn Entropy>);
    let transport = Transport::new(TransportSettings::default(), entropy.clone()).unwrap();
    let settings = ScalekitSettings {
        environment_url: world.scalekit.url().parse().unwrap(),
        client_id: FakeScalekit::CLIENT_ID.to_owned(),
        client_secret: Secret::from(FakeScalekit::CLIENT_SECRET.to_owned()),
        connection_name: FakeScalekit::CONNECTION_NAME.to_owned(),
    };
    AccountLinking::new(
        LinkingSettings {
            mode: AuthMode::Session,
            public_base_url: "http://127.0.0.1:3000".parse().unwrap(),
        },
        Accounts::Linked(Scalekit::new(settings, transport, clock.clone())),
        Store::memory(clock.clone()),
        Keyring::new(Secret::from("k".repeat(32)), Vec::new()),
        None,
        clock,
        entropy,
    )
}

#[tokio::test]
async fn a_person_who_is_slow_is_pending_and_no_failure() {
    let world = World::builder().start().await;
    let linking = linking(&world);
    let principal =
        Principal { id: PrincipalId::mint(&SystemEntropy), client: ClientName::default() };
    let call = Call::within(Duration::from_secs(10));
    let Status::Pending(link) = linking.begin(&principal, false, &call).await.unwrap() else {
        panic!("no link");
    };
    let browser = BrowserCookie::mint(&SystemEntropy);
    linking.consent(&link.flow, &browser, &call).await.unwrap();
    world.scalekit.clear_calls();
    let until = Instant::now() + Duration::from_millis(500);
    let status = linking.wait(&principal, &link.flow, until).await.unwrap();
    assert!(matches!(status, Status::Pending(_)), "{status:?}");
    // Once at the beginning and once at the end: Scalekit is asked every two seconds only.
    assert_eq!(world.scalekit.count(|call| call.method == "GET"), 2);
}
