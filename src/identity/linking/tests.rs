//! The steps between which a crash or another request may come, each taken alone.

use std::sync::Arc;

use super::{super::flow::LIFETIME, *};
use crate::{
    domain::{SystemClock, SystemEntropy},
    identity::{Sweeper, connection::DeletionRecord, samples},
};

struct Desk {
    linking: AccountLinking,
    principal: PrincipalId,
}

fn desk() -> Desk {
    let clock = Arc::new(SystemClock);
    let linking = samples::linking(AuthMode::Session, Store::memory(clock.clone()), clock);
    Desk { linking, principal: PrincipalId::mint(&SystemEntropy) }
}

impl Desk {
    /// A connection that this principal uses.
    async fn connection(&self) -> UserId {
        let (user, now) = (UserId::mint(&SystemEntropy), self.linking.now());
        let record = ConnectionRecord {
            user: user.clone(),
            account: GitHubAccount { id: 1, login: "octocat".to_owned() },
            verified: true,
            connected_at: now,
            principals: vec![self.principal.clone()],
            needs_reauthorization: false,
            last_used_at: now,
            superseded_by: None,
        };
        let key = self.linking.key(&user.digest());
        self.linking.store().insert(&key, &record, now + LIFETIME).await.unwrap();
        user
    }

    async fn stand(&self, connection: Option<&UserId>, flows: &[FlowId]) {
        self.linking
            .change_principal(&self.principal, |record| {
                record.connection = connection.cloned();
                record.flows = flows.to_vec();
            })
            .await
            .unwrap();
    }

    async fn is_kept(&self, user: &UserId) -> bool {
        self.linking.connection(user).await.unwrap().is_some()
    }

    async fn is_to_be_deleted(&self, user: &UserId) -> bool {
        // What was let go of has expired, and the sweeper writes down what follows from that. It
        // reaches nobody, so what is written down stays.
        Sweeper::new(self.linking.clone()).sweep().await.unwrap();
        let key = self.linking.key(&user.digest());
        self.linking.store().get::<DeletionRecord>(&key).await.unwrap().is_some()
    }

    async fn record(&self) -> PrincipalRecord {
        self.linking.principal_record(&self.principal).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_pointer_moves_for_an_open_flow_and_lets_go_of_what_was_before() {
    let desk = desk();
    let flow = FlowId::mint(&SystemEntropy);
    let (before, new) = (desk.connection().await, desk.connection().await);
    desk.stand(Some(&before), std::slice::from_ref(&flow)).await;
    assert!(desk.linking.point_to(&desk.principal, &flow, &new).await.unwrap());
    assert_eq!(desk.record().await.connection, Some(new.clone()));
    assert!(desk.record().await.flows.is_empty());
    assert!(desk.is_kept(&new).await && !desk.is_kept(&before).await);
    assert!(desk.is_to_be_deleted(&before).await && !desk.is_to_be_deleted(&new).await);
    // Again, by a poll that comes late: it is so already.
    assert!(desk.linking.point_to(&desk.principal, &flow, &new).await.unwrap());
    assert!(desk.is_kept(&new).await);
}

/// A newer flow, or a disconnect, came in between: what is late goes, what is there stays.
#[tokio::test]
async fn a_late_flow_moves_no_pointer() {
    let desk = desk();
    let flow = FlowId::mint(&SystemEntropy);
    for is_connected in [true, false] {
        let (current, late) = (desk.connection().await, desk.connection().await);
        desk.stand(is_connected.then_some(&current), &[]).await;
        assert!(!desk.linking.point_to(&desk.principal, &flow, &late).await.unwrap());
        assert_eq!(desk.record().await.connection.as_ref(), is_connected.then_some(&current));
        assert!(desk.is_kept(&current).await && !desk.is_kept(&late).await);
        assert!(desk.is_to_be_deleted(&late).await && !desk.is_to_be_deleted(&current).await);
        assert!(!desk.linking.point_if_open(&desk.principal, &flow, &late).await.unwrap());
    }
}

/// The account was disconnected from the page before the pointer moved: what was there stays.
#[tokio::test]
async fn a_pointer_does_not_move_to_what_is_gone() {
    let desk = desk();
    let flow = FlowId::mint(&SystemEntropy);
    let (current, gone) = (desk.connection().await, UserId::mint(&SystemEntropy));
    desk.stand(Some(&current), std::slice::from_ref(&flow)).await;
    assert!(!desk.linking.point_to(&desk.principal, &flow, &gone).await.unwrap());
    assert_eq!(desk.record().await.connection, Some(current.clone()));
    assert!(desk.record().await.flows.is_empty() && desk.is_kept(&current).await);
}

/// Whoever still uses a connection keeps it, and a harm that was seen once is not done again.
#[tokio::test]
async fn a_connection_goes_with_its_last_user() {
    let desk = desk();
    let (user, successor) = (desk.connection().await, desk.connection().await);
    let other = PrincipalId::mint(&SystemEntropy);
    desk.linking.change_connection(&user, |found| found.add_principal(&other)).await.unwrap();
    desk.linking.let_go(&desk.principal, &user, Some(&successor)).await.unwrap();
    assert!(desk.is_kept(&user).await && !desk.is_to_be_deleted(&user).await);
    desk.linking.let_go(&other, &user, Some(&successor)).await.unwrap();
    assert!(!desk.is_kept(&user).await && desk.is_to_be_deleted(&user).await);
    desk.linking.note_harmful_deletion(&successor).await.unwrap();
    let harmed = desk.linking.connection(&successor).await.unwrap().unwrap();
    assert!(harmed.value.needs_reauthorization);
    desk.linking.let_go(&desk.principal, &successor, Some(&user)).await.unwrap();
    assert!(!desk.is_kept(&successor).await && !desk.is_to_be_deleted(&successor).await);
}

/// One callback three times: the last of them lists the flow when the others have brought it to its
/// end, and the person may have gone on to another connection.
#[tokio::test]
async fn a_flow_that_is_over_is_not_open_once_more() {
    let desk = desk();
    let (before, current) = (desk.connection().await, desk.connection().await);
    let over = [
        Phase::Done {
            binding: None,
            auth_request: None,
            browser: None,
            connection: before.clone(),
            account: GitHubAccount { id: 1, login: "octocat".to_owned() },
        },
        Phase::Burned(Ending::Superseded),
    ];
    for phase in over {
        let who = ClientName::default();
        let flow = desk.linking.new_flow(Some(desk.principal.clone()), FlowPurpose::Link, who);
        let (key, until) = (desk.linking.key(flow.id.as_str()), flow.created_at + LIFETIME);
        desk.linking.store().insert(&key, &flow, until).await.unwrap();
        desk.stand(Some(&current), &[]).await;
        desk.linking.list_flow(&desk.principal, &flow.id, None).await.unwrap();
        assert_eq!(desk.record().await.flows, std::slice::from_ref(&flow.id));
        let listed = desk.linking.flow(&flow.id).await.unwrap().unwrap();
        assert!(desk.linking.advance(&listed, phase).await.unwrap());
        desk.stand(Some(&current), &[]).await;
        desk.linking.list_flow(&desk.principal, &flow.id, None).await.unwrap();
        assert!(desk.record().await.flows.is_empty());
        assert!(!desk.linking.point_if_open(&desk.principal, &flow.id, &before).await.unwrap());
        assert!(desk.is_kept(&current).await);
    }
}

/// A principal that is gone does not come back for an ending.
#[tokio::test]
async fn an_ending_is_told_to_those_who_are_there() {
    let desk = desk();
    let (flow, other) = (FlowId::mint(&SystemEntropy), FlowId::mint(&SystemEntropy));
    let principal = Some(&desk.principal);
    desk.linking.forget_flow(principal, &flow, Some(Ending::Declined)).await.unwrap();
    assert!(desk.linking.principal_record(&desk.principal).await.unwrap().is_none());
    desk.stand(None, &[flow.clone(), other.clone()]).await;
    desk.linking.forget_flow(None, &flow, Some(Ending::Declined)).await.unwrap();
    assert_eq!(desk.record().await.flows.len(), 2);
    for (ending, told) in [
        (Some(Ending::Superseded), None),
        (None, None),
        (Some(Ending::Declined), Some(Ending::Declined)),
    ] {
        desk.linking.forget_flow(principal, &flow, ending).await.unwrap();
        let record = desk.record().await;
        assert_eq!(record.flows, std::slice::from_ref(&other));
        assert_eq!(record.last_ending.map(|(ending, _)| ending), told);
    }
}

/// What was verified must be finished, however late the person came; all else keeps its end.
#[tokio::test]
async fn only_a_verification_gives_a_flow_more_time() {
    let desk = desk();
    let flow = desk.linking.new_flow(None, FlowPurpose::Link, ClientName::default());
    let soon = desk.linking.now() + chrono::Duration::minutes(1);
    desk.linking.store().insert(&desk.linking.key(flow.id.as_str()), &flow, soon).await.unwrap();
    let verifying = Phase::Verifying { binding: None, auth_request: None, browser: None };
    let consenting = Phase::Consenting { binding: String::new(), presses: 1 };
    let mut ends = Vec::new();
    for phase in [consenting, verifying] {
        let found = desk.linking.flow(&flow.id).await.unwrap().unwrap();
        assert!(desk.linking.advance(&found, phase.clone()).await.unwrap());
        // Whoever saw an older state moves nothing.
        assert!(!desk.linking.advance(&found, phase).await.unwrap());
        ends.push(desk.linking.flow(&flow.id).await.unwrap().unwrap().expires_at);
    }
    assert!((soon - ends[0]).num_seconds() == 0, "{ends:?}");
    assert!(ends[1] > soon + chrono::Duration::minutes(13), "{ends:?}");
}

#[tokio::test]
async fn a_flow_ends_once() {
    let desk = desk();
    let principal = Some(desk.principal.clone());
    let flow = desk.linking.new_flow(principal, FlowPurpose::Link, ClientName::default());
    let key = desk.linking.key(flow.id.as_str());
    let end = desk.linking.now() + LIFETIME;
    desk.linking.store().insert(&key, &flow, end).await.unwrap();
    desk.stand(None, std::slice::from_ref(&flow.id)).await;
    for ending in [Ending::Declined, Ending::OtherBrowser] {
        assert!(desk.linking.burn(&flow.id, ending).await.unwrap());
        let found = desk.linking.flow(&flow.id).await.unwrap().unwrap();
        assert_eq!(found.value.phase, Phase::Burned(Ending::Declined));
        assert_eq!(desk.record().await.last_ending.unwrap().0, Ending::Declined);
    }
    // Nobody had pressed its button, so there is nothing to delete.
    assert!(!desk.is_to_be_deleted(&flow.user).await);
    assert!(desk.linking.burn(&FlowId::mint(&SystemEntropy), Ending::Declined).await.unwrap());
}

#[tokio::test]
async fn the_last_repository_is_noted_and_costs_a_write_only_when_it_is_another() {
    let desk = desk();
    let principal = Principal { id: desk.principal.clone(), client: ClientName::default() };
    let key = desk.linking.key(principal.id.as_str());
    // Who is gone, or never linked anything, does not come back for this.
    desk.linking.note_repository(&principal, "acme/none").await.unwrap();
    assert!(desk.linking.repositories(&principal).await.unwrap().is_empty());
    desk.linking.change_principal(&principal.id, |_| ()).await.unwrap();
    let mut versions = Vec::new();
    for repository in ["acme/one", "acme/two", "acme/two"] {
        desk.linking.note_repository(&principal, repository).await.unwrap();
        let found = desk.linking.store().get::<PrincipalRecord>(&key).await.unwrap().unwrap();
        versions.push(format!("{:?}", found.version));
    }
    let noted = desk.linking.repositories(&principal).await.unwrap();
    assert_eq!(noted, ["acme/two", "acme/one"]);
    assert!(versions[0] != versions[1] && versions[1] == versions[2], "{versions:?}");
}
