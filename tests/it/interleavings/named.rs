//! Orders of steps that were found to be harmful, each with its own test.

use std::sync::Arc;

use chrono::Duration;
use futures_util::future::LocalBoxFuture;
use pr_summarizer::{
    domain::AuthMode,
    identity::{
        AccountLinking, BrowserCookie, ClientName, Principal, Sweeper,
        linking::{Callback, Status},
    },
};
use tokio::select;

use super::{
    Stage,
    deeds::{Answer, Deed, How, With, call, perform},
    gates::Gates,
    house::{Ground, House, Repeatable},
};

/// Lets one hand run until it is about to do this; what it is answered if it never does.
async fn walk(
    gates: &Gates,
    (number, work): (usize, &mut LocalBoxFuture<'static, Answer>),
    until: &str,
) -> Option<Answer> {
    loop {
        gates.release(number);
        let moved = select! {
            biased;
            answer = &mut *work => Ok(answer),
            what = gates.until_waiting(number) => Err(what),
        };
        gates.rest();
        match moved {
            Ok(answer) => return Some(answer),
            Err(what) if what.starts_with(until) => return None,
            Err(_) => {}
        }
    }
}

/// A principal, the browser of its person, and a process.
struct Scene {
    stage: Stage,
    house: House,
    principal: Principal,
    cookie: BrowserCookie,
}

impl Scene {
    async fn set() -> Self {
        let stage = Stage::set().await;
        let entropy = Arc::new(Repeatable::new(1));
        let cookie = BrowserCookie::mint(&*entropy);
        let around = (&stage.world, &stage.transport, &stage.clock);
        let (circumstances, gates) = ((AuthMode::Session, 1), stage.gates.clone());
        let house = House::open(Ground::memory(), circumstances, around, entropy, gates).await;
        let principal = house.processes[0].sessions.stranger(ClientName::default());
        Self { stage, house, principal, cookie }
    }

    fn linking(&self) -> &AccountLinking {
        &self.house.processes[0].linking
    }

    /// With what the browser comes back from a new link, where its person consented as this one.
    async fn back(&self, login: &str) -> With {
        let begun = self.linking().begin(&self.principal, true, &call()).await.unwrap();
        let Status::Pending(link) = begun else { panic!("no link: {begun:?}") };
        let step = self.linking().consent(&link.flow, &self.cookie, &call()).await.unwrap();
        let followed = self.stage.world.scalekit.follow(&step.link, Some(login)).unwrap();
        let back = followed.back.unwrap();
        let value = |name: &str| {
            back.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
        };
        let (state, auth_request_id) = (value("state"), value("auth_request_id"));
        With {
            cookie: Some(self.cookie.clone()),
            callback: Callback { state, auth_request_id, error: None },
            ..With::default()
        }
    }

    fn complete(&self, with: With) -> LocalBoxFuture<'static, Answer> {
        let deed = Deed::Complete { browser: 0, link: 0, consent: None, how: How::Whole };
        perform(&self.house.processes[0], deed, with)
    }

    /// Lets a hand do each of these, up to the point where it is about to do the last.
    async fn walk(&self, number: usize, work: &mut LocalBoxFuture<'static, Answer>, way: &[&str]) {
        for until in way {
            let answered = walk(&self.stage.gates, (number, work), until).await;
            assert!(answered.is_none(), "{answered:?}");
        }
    }

    /// Whose account it is, as far as the store tells.
    async fn login(&self) -> Option<String> {
        match self.linking().look(&self.principal).await.unwrap() {
            Some(Status::Connected(connection)) => Some(connection.account.login),
            _ => None,
        }
    }
}

/// One callback, twice: the second finishes what the first has verified, and the process ends before
/// the second has moved the pointer.
#[tokio::test]
async fn whoever_is_told_that_they_are_connected_is_so_after_a_crash() {
    let mut scene = Scene::set().await;
    let with = scene.back("octocat").await;
    let mut first = scene.complete(with.clone());
    scene.walk(1, &mut first, &["asks Scalekit POST verify", "get flow"]).await;
    let mut second = scene.complete(with);
    // The flow's good end, and nothing after it.
    scene.walk(2, &mut second, &["replace flow", "after the write of flow"]).await;
    let told = walk(&scene.stage.gates, (1, &mut first), "the end").await;
    assert!(matches!(told, Some(Answer::Completed(Ok(_)))), "{told:?}");
    drop(second);
    scene.house.restart(0).await;
    assert_eq!(scene.login().await.as_deref(), Some("octocat"));
}

/// A crash leaves a flow that was verified, and its person connects another account with a newer
/// one: what is taken up afterwards must not take that one's place.
#[tokio::test]
async fn what_a_crash_left_does_not_take_the_place_of_what_was_told_later() {
    let ways: [&[&str]; 2] = [
        // Verified, and nothing written since.
        &["asks Scalekit POST verify", "get flow"],
        // Done, but for the pointer.
        &["insert connection", "replace flow", "get connection"],
    ];
    for way in ways {
        let mut scene = Scene::set().await;
        let with = scene.back("octocat").await;
        let mut left = scene.complete(with);
        scene.walk(1, &mut left, way).await;
        drop(left);
        scene.house.restart(0).await;
        scene.stage.clock.advance(Duration::minutes(1));
        let with = scene.back("mira-holm").await;
        let told = scene.complete(with).await;
        assert!(matches!(told, Answer::Completed(Ok(_))), "{told:?}");
        for minutes in [0, 46] {
            scene.stage.clock.advance(Duration::minutes(minutes));
            for _ in 0..3 {
                Sweeper::new(scene.linking().clone()).sweep().await.unwrap();
            }
            scene.linking().status(&scene.principal, &call()).await.unwrap();
            assert_eq!(scene.login().await.as_deref(), Some("mira-holm"), "{way:?}");
        }
        assert_eq!(scene.stage.world.scalekit.accounts().len(), 1);
    }
}

/// The same where the person went on with an account that the browser had connected before.
#[tokio::test]
async fn what_a_crash_left_does_not_take_the_place_of_what_was_chosen_again() {
    let mut scene = Scene::set().await;
    let with = scene.back("mira-holm").await;
    assert!(matches!(scene.complete(with).await, Answer::Completed(Ok(_))));
    let known = scene.linking().look(&scene.principal).await.unwrap();
    let Some(Status::Connected(known)) = known else { panic!("{known:?}") };
    scene.stage.clock.advance(Duration::minutes(1));
    let with = scene.back("octocat").await;
    let mut left = scene.complete(with);
    scene.walk(1, &mut left, &["asks Scalekit POST verify", "get flow"]).await;
    drop(left);
    scene.house.restart(0).await;
    scene.stage.clock.advance(Duration::minutes(1));
    let begun = scene.linking().begin(&scene.principal, true, &call()).await.unwrap();
    let Status::Pending(link) = begun else { panic!("no link: {begun:?}") };
    scene.linking().reuse(&link.flow, &scene.cookie, known.account.id).await.unwrap();
    scene.linking().status(&scene.principal, &call()).await.unwrap();
    assert_eq!(scene.login().await.as_deref(), Some("mira-holm"));
}

/// Two requests finish one flow; the one that wrote the connection comes last, when the other has
/// moved the pointer to it.
#[tokio::test]
async fn of_two_who_finish_together_none_takes_back_what_the_other_was_told() {
    // Or the machine is asleep meanwhile, and the flow's time is over.
    for minutes in [0, 31] {
        let scene = Scene::set().await;
        let with = scene.back("octocat").await;
        let mut first = scene.complete(with.clone());
        let way =
            ["asks Scalekit POST verify", "insert connection", "after the write of connection"];
        scene.walk(1, &mut first, &way).await;
        let mut second = scene.complete(with);
        for (number, work) in [(2, &mut second), (1, &mut first)] {
            let told = walk(&scene.stage.gates, (number, work), "the end").await;
            assert!(matches!(told, Some(Answer::Completed(Ok(_)))), "{minutes}: {told:?}");
            scene.stage.clock.advance(Duration::minutes(minutes));
            Sweeper::new(scene.linking().clone()).sweep().await.unwrap();
            assert_eq!(scene.login().await.as_deref(), Some("octocat"), "{minutes}");
        }
        assert_eq!(scene.stage.world.scalekit.accounts().len(), 1);
    }
}
