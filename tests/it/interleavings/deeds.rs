//! What somebody asks of a process, and what they are answered.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use pr_summarizer::{
    domain::{ConnectionHandle, FlowId, GitHubAccount, PrincipalId, SessionId, failure::Result},
    identity::{
        BrowserCookie, ClientName, Principal, Sweeper,
        linking::{AuthorizationStep, Callback, Completed, ConnectPage, Interrupted, Status},
    },
    upstream::Call,
};

use super::house::Process;

/// By what a caller is known.
#[derive(Debug, Clone)]
pub enum Proof {
    Session(SessionId),
    Handle(ConnectionHandle),
    /// An access token; whose it is was checked by another room.
    Token(PrincipalId),
}

/// What is asked for; browsers and callers by their numbers, for the trace.
#[derive(Debug, Clone)]
pub enum Deed {
    OpenSession { person: Option<PrincipalId> },
    NewHandle,
    CloseSession { caller: usize },
    Begin { caller: usize, reconnect: bool },
    Status { caller: usize },
    Look { caller: usize },
    Read { caller: usize },
    Disconnect { caller: usize },
    OpenPage { browser: usize, flow: usize },
    Consent { browser: usize, flow: usize },
    Decline { flow: usize },
    Reuse { browser: usize, flow: usize, github_id: u64 },
    Identify { browser: usize, number: usize },
    Complete { browser: usize, link: usize, consent: Option<usize>, how: How },
    DisconnectHere { browser: usize, github_id: u64 },
    Sweep,
}

/// What of a callback comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Whole,
    /// The person, or somebody who writes addresses, says no.
    Error,
    /// Only the state.
    Bare,
}

/// What came of it.
#[derive(Debug)]
pub enum Answer {
    Opened(Proof, Option<Principal>),
    Closed(Result<bool>),
    /// Whoever asked is not known here.
    Nobody,
    Status(Principal, Result<Status>),
    Looked(Principal, Result<Option<Status>>),
    /// Whose account it was, if there is a connection and it was still theirs afterwards.
    Read(Principal, Result<Option<GitHubAccount>>),
    Disconnected(Principal, Result<()>),
    Page(Result<ConnectPage>),
    Step(Result<AuthorizationStep>),
    Declined(Result<()>),
    Reused(Result<GitHubAccount>),
    Completed(std::result::Result<Completed, Interrupted>),
    DisconnectedHere(Result<()>),
    Swept(Result<()>),
}

/// What a deed needs, looked up.
#[derive(Debug, Clone, Default)]
pub struct With {
    pub proof: Option<(Proof, Option<PrincipalId>)>,
    pub cookie: Option<BrowserCookie>,
    pub flow: Option<FlowId>,
    pub callback: Callback,
}

fn client() -> ClientName {
    ClientName::claimed("Test Agent")
}

pub fn call() -> Call {
    Call::within(Duration::from_mins(1))
}

/// What is to go on after a trip.
pub fn continuation(number: usize) -> String {
    format!("what goes on {number}")
}

/// The request, as the doors make it.
pub fn perform(process: &Process, deed: Deed, with: With) -> LocalBoxFuture<'static, Answer> {
    let process = process.clone();
    Box::pin(async move { Doing { process, with }.run(deed).await })
}

struct Doing {
    process: Process,
    with: With,
}

impl Doing {
    async fn run(self, deed: Deed) -> Answer {
        match deed {
            Deed::OpenSession { person } => self.open_session(person.as_ref()).await,
            Deed::NewHandle => {
                let made = self.process.sessions.new_handle(client()).await.unwrap();
                Answer::Opened(Proof::Handle(made.0), Some(made.1))
            }
            Deed::Begin { .. }
            | Deed::Status { .. }
            | Deed::Look { .. }
            | Deed::Read { .. }
            | Deed::Disconnect { .. }
            | Deed::CloseSession { .. } => self.called(deed).await,
            Deed::Decline { .. } => {
                Answer::Declined(self.process.linking.decline(self.flow()).await)
            }
            Deed::Sweep => Answer::Swept(Sweeper::new(self.process.linking.clone()).sweep().await),
            _ => self.browsed(deed).await,
        }
    }

    async fn open_session(&self, person: Option<&PrincipalId>) -> Answer {
        let id = self.process.sessions.open(client(), person).await.unwrap();
        let found = self.process.sessions.find(&id, person).await.unwrap();
        Answer::Opened(Proof::Session(id), found)
    }

    async fn called(&self, deed: Deed) -> Answer {
        let (Some(caller), linking) = (self.caller().await, &self.process.linking) else {
            return Answer::Nobody;
        };
        let call = call();
        match deed {
            Deed::Begin { reconnect, .. } => {
                let begun = linking.begin(&caller, reconnect, &call).await;
                Answer::Status(caller, begun)
            }
            Deed::Status { .. } => {
                let status = linking.status(&caller, &call).await;
                Answer::Status(caller, status)
            }
            Deed::Look { .. } => {
                let seen = linking.look(&caller).await;
                Answer::Looked(caller, seen)
            }
            Deed::Read { .. } => {
                let read = self.read(&caller).await;
                Answer::Read(caller, read)
            }
            Deed::Disconnect { .. } => {
                let done = linking.disconnect(&caller).await;
                Answer::Disconnected(caller, done)
            }
            _ => {
                let Some((Proof::Session(id), person)) = &self.with.proof else {
                    return Answer::Nobody;
                };
                Answer::Closed(self.process.sessions.close(id, person.as_ref()).await)
            }
        }
    }

    async fn caller(&self) -> Option<Principal> {
        let sessions = &self.process.sessions;
        match self.with.proof.as_ref()? {
            (Proof::Session(id), person) => sessions.find(id, person.as_ref()).await.unwrap(),
            (Proof::Handle(handle), _) => sessions.find_handle(handle, client()).await.unwrap(),
            (Proof::Token(id), _) => Some(Principal { id: id.clone(), client: client() }),
        }
    }

    /// Reads something as the caller and hands it out only if it is still theirs to read.
    async fn read(&self, caller: &Principal) -> Result<Option<GitHubAccount>> {
        let (linking, call) = (&self.process.linking, call());
        let own = linking.github(caller, &call).await?;
        let account = own.github.viewer(&call).await?;
        Ok(linking.holds(caller, &own).await?.then_some(account))
    }

    async fn browsed(&self, deed: Deed) -> Answer {
        let (linking, call) = (&self.process.linking, call());
        let cookie = self.with.cookie.as_ref();
        let own = cookie.expect("a browser");
        match deed {
            Deed::OpenPage { .. } => Answer::Page(linking.open(self.flow(), cookie).await),
            Deed::Consent { .. } => Answer::Step(linking.consent(self.flow(), own, &call).await),
            Deed::Reuse { github_id, .. } => {
                Answer::Reused(linking.reuse(self.flow(), own, github_id).await)
            }
            Deed::Identify { number, .. } => {
                let step = linking.identify(continuation(number), client(), own, &call).await;
                Answer::Step(step)
            }
            Deed::DisconnectHere { github_id, .. } => {
                Answer::DisconnectedHere(linking.disconnect_here(own, github_id).await)
            }
            _ => {
                let done = linking.complete(&self.with.callback, cookie, &call).await;
                Answer::Completed(done)
            }
        }
    }

    fn flow(&self) -> &FlowId {
        self.with.flow.as_ref().expect("a flow")
    }
}
